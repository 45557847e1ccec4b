package dev.millrace.transfer.nixl;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;

/** Skips a test class where NIXL is not installed, and prints why. */
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@ExtendWith(NixlInstalled.Condition.class)
@interface NixlInstalled {

  /** The library as these tests load it. */
  final class Library {
    private Library() {}

    static Nixl load() {
      return Nixl.load(NixlSettings.DEFAULT);
    }

    static Nixl.Present present() {
      return switch (load()) {
        case Nixl.Present present -> present;
        case Nixl.Absent absent -> throw new IllegalStateException(absent.toString());
      };
    }
  }

  /** Looks for the library. */
  final class Condition implements ExecutionCondition {
    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
      return switch (Library.load()) {
        case Nixl.Present _ -> ConditionEvaluationResult.enabled("NIXL is installed");
        case Nixl.Absent(String reason, String remedy) -> {
          String why = "SKIPPED %s: %s; %s".formatted(context.getDisplayName(), reason, remedy);
          System.err.println(why);
          yield ConditionEvaluationResult.disabled(why);
        }
      };
    }
  }
}
