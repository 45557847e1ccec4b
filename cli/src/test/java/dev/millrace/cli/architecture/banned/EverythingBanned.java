package dev.millrace.cli.architecture.banned;

import io.vertx.core.Future;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;

/** One method per ban; {@link #allowed} is what looks alike and is allowed. */
@SuppressWarnings({"unused", "TimeZoneUsage", "InstantNow"}) // found by the rules, called by nobody
final class EverythingBanned {
  void sleeps() throws InterruptedException {
    Thread.sleep(1);
  }

  long readsTheMilliClock() {
    return System.currentTimeMillis();
  }

  long readsTheNanoClock() {
    return System.nanoTime();
  }

  Instant readsTheWallClock() {
    return Instant.now();
  }

  Mono<Long> delaysOnSomeThread() {
    return Mono.delay(Duration.ofMillis(1));
  }

  Mono<String> timesOutOnSomeThread(Mono<String> mono) {
    return mono.timeout(Duration.ofMillis(1));
  }

  String joins(CompletableFuture<String> future) {
    return future.join();
  }

  String gets(java.util.concurrent.Future<String> future) throws Exception {
    return future.get();
  }

  String awaits(Future<String> future) {
    return future.await();
  }

  void waitsForALatch(CountDownLatch latch) throws InterruptedException {
    latch.await();
  }

  String blocks(Mono<String> mono) {
    return String.valueOf(mono.block());
  }

  Mono<String> allowed(Mono<String> mono, Scheduler eventLoop) {
    return mono.timeout(Duration.ofMillis(1), eventLoop);
  }
}
