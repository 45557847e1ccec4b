package dev.millrace.cli;

import dev.millrace.transfer.TransferException;
import io.vertx.core.Future;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/** Waits for servers to start and to close; a command's own thread may block. */
final class Startup {
  private static final Duration LONGEST = Duration.ofSeconds(30);

  private Startup() {}

  /**
   * The started thing.
   *
   * @param what what is starting and where, for the message if it does not
   */
  static <T> T started(String what, Future<T> starting) {
    try {
      T result =
          starting
              .toCompletionStage()
              .toCompletableFuture()
              .get(LONGEST.toSeconds(), TimeUnit.SECONDS);
      if (result == null) {
        throw new IllegalStateException(what + " started as nothing");
      }
      return result;
    } catch (ExecutionException e) {
      throw explained(what, e.getCause());
    } catch (TimeoutException e) {
      throw new IllegalStateException(
          "%s has not started after %d s".formatted(what, LONGEST.toSeconds()), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while starting " + what, e);
    }
  }

  /** Waits until something is closed, without minding how that goes. */
  static void closed(Future<?> closing) {
    closed(closing, Duration.ZERO);
  }

  /** The same, for something that first lets others end for a while. */
  static void closed(Future<?> closing, Duration grace) {
    long millis = grace.plus(LONGEST).toMillis();
    try {
      closing.toCompletionStage().toCompletableFuture().get(millis, TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (ExecutionException | TimeoutException e) {
      // The process, or the test, ends anyway.
    }
  }

  private static RuntimeException explained(String what, @Nullable Throwable cause) {
    if (cause instanceof IOException) {
      // A BindException, or what Netty's native transports throw in its place.
      return Failure.usage(
          "%s cannot listen: %s; is the port taken?".formatted(what, cause.getMessage()));
    }
    if (cause instanceof IllegalArgumentException || cause instanceof TransferException) {
      return Failure.usage("%s: %s".formatted(what, cause.getMessage()));
    }
    return new IllegalStateException(what + " did not start", cause);
  }

  /** Whether a port of the loopback address can be listened on. */
  static boolean isFree(int port) {
    try (ServerSocket socket = new ServerSocket()) {
      socket.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
      return true;
    } catch (IOException e) {
      return false;
    }
  }
}
