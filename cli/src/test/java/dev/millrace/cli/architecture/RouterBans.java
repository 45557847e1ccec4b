package dev.millrace.cli.architecture;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.AccessTarget;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaMethodCall;
import com.tngtech.archunit.core.domain.properties.HasName;
import com.tngtech.archunit.lang.ArchRule;
import com.tngtech.archunit.lang.syntax.ArchRuleDefinition;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;

/**
 * What code on an event loop must not call: whatever blocks it, reads a clock that was not passed
 * in, or lets Reactor hop to a thread of its own.
 */
enum RouterBans {
  NO_BLOCKING(
      "block",
      any(
          List.of(
              call(Thread.class, "sleep", "join"),
              call(Object.class, "wait"),
              call(Future.class, "get"),
              call(CompletableFuture.class, "join"),
              call(io.vertx.core.Future.class, "await"),
              call(CountDownLatch.class, "await"),
              call(Semaphore.class, "acquire"),
              call(BlockingQueue.class, "take", "put"),
              call(Mono.class, "block", "blockOptional"),
              call(Flux.class, "blockFirst", "blockLast", "toIterable", "toStream")))),

  NO_CLOCKS(
      "read a clock that was not passed in",
      any(
          List.of(
              call(System.class, "nanoTime", "currentTimeMillis"), nowWithoutClock("java.time.")))),

  NO_FOREIGN_SCHEDULER(
      "use a time operator of Reactor without the event loop's scheduler",
      describe(
          "a time operator without a scheduler",
          call ->
              Set.of(Mono.class.getName(), Flux.class.getName())
                      .contains(call.getTargetOwner().getName())
                  && parameters(call).contains(Duration.class.getName())
                  && !parameters(call).contains(Scheduler.class.getName())));

  private final String what;
  private final DescribedPredicate<JavaMethodCall> banned;

  RouterBans(String what, DescribedPredicate<JavaMethodCall> banned) {
    this.what = what;
    this.banned = banned;
  }

  /** The ban for the classes of a package and those below it. */
  ArchRule in(String packages, String... exceptClasses) {
    List<String> except = Arrays.asList(exceptClasses);
    return ArchRuleDefinition.noClasses()
        .that()
        .resideInAPackage(packages)
        .and(
            DescribedPredicate.describe(
                "are not " + except, (JavaClass type) -> !except.contains(outermost(type))))
        .should()
        .callMethodWhere(banned)
        .as("no class in %s should %s".formatted(packages, what));
  }

  private static String outermost(JavaClass type) {
    return type.getEnclosingClass().map(RouterBans::outermost).orElse(type.getName());
  }

  private static DescribedPredicate<JavaMethodCall> call(Class<?> owner, String... names) {
    return describe(
        owner.getSimpleName() + "." + String.join("/", names),
        call ->
            Arrays.asList(names).contains(call.getTarget().getName())
                && call.getTargetOwner().isAssignableTo(owner));
  }

  private static DescribedPredicate<JavaMethodCall> nowWithoutClock(String packagePrefix) {
    return describe(
        packagePrefix + "*.now()",
        call ->
            call.getTargetOwner().getName().startsWith(packagePrefix)
                && call.getTarget().getName().equals("now")
                && !parameters(call).contains("java.time.Clock"));
  }

  private static List<String> parameters(JavaMethodCall call) {
    AccessTarget.MethodCallTarget target = call.getTarget();
    return target.getRawParameterTypes().stream().map(HasName::getName).toList();
  }

  private static DescribedPredicate<JavaMethodCall> describe(
      String description, java.util.function.Predicate<JavaMethodCall> predicate) {
    return DescribedPredicate.describe(description, predicate);
  }

  private static DescribedPredicate<JavaMethodCall> any(
      List<DescribedPredicate<JavaMethodCall>> predicates) {
    return DescribedPredicate.or(predicates);
  }
}
