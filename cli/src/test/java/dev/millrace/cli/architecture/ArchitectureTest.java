package dev.millrace.cli.architecture;

import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ConditionEvents;
import com.tngtech.archunit.lang.EvaluationResult;
import com.tngtech.archunit.lang.SimpleConditionEvent;
import com.tngtech.archunit.library.dependencies.SlicesRuleDefinition;
import org.jspecify.annotations.NullMarked;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class ArchitectureTest {
  private static final JavaClasses MILLRACE =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages("dev.millrace");

  /** The arrows: of Millrace's own packages, a module sees itself and these. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          layout    |
          config    | dev.millrace.layout..
          transfer  | dev.millrace.layout..
          simulator | dev.millrace.layout.. dev.millrace.transfer..
          router    | dev.millrace.layout.. dev.millrace.config.. dev.millrace.transfer.sidechannel.. dev.millrace.transfer.rpc..
          """)
  void module_dependsOnlyOnWhatItsArrowsSay(String module, String arrows) {
    String own = "dev.millrace." + module + "..";
    String[] seen = arrows == null ? new String[0] : arrows.split(" ");

    noClasses()
        .that()
        .resideInAPackage(own)
        .should()
        .dependOnClassesThat(
            resideInAPackage("dev.millrace..")
                .and(not(resideInAPackage(own)))
                .and(not(resideInAnyPackage(seen))))
        .check(MILLRACE);
  }

  @Test
  void layout_dependsOnTheJdkAlone() {
    classes()
        .that()
        .resideInAPackage("dev.millrace.layout..")
        .should()
        .onlyDependOnClassesThat()
        .resideInAnyPackage("java..", "org.jspecify..", "dev.millrace.layout..")
        .check(MILLRACE);
  }

  @Test
  void modules_haveNoCycles() {
    SlicesRuleDefinition.slices()
        .matching("dev.millrace.(*)..")
        .should()
        .beFreeOfCycles()
        .check(MILLRACE);
  }

  @Test
  void foreignMemory_isTouchedByTheTransferAndTheSimulatedCacheOnly() {
    noClasses()
        .that()
        .resideOutsideOfPackages("dev.millrace.transfer..", "dev.millrace.simulator.cache..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("java.lang.foreign..")
        .check(MILLRACE);
  }

  @Test
  void nativeCode_isCalledByTheNixlBindingOnly() {
    noClasses()
        .that()
        .resideOutsideOfPackage("dev.millrace.transfer.nixl..")
        .should()
        .dependOnClassesThat()
        .haveFullyQualifiedName("java.lang.foreign.Linker")
        .check(MILLRACE);
  }

  @Test
  void standardOutput_isTheCommandsAlone() {
    noClasses()
        .that()
        .resideOutsideOfPackage("dev.millrace.cli..")
        .and()
        // A program of its own: its standard output is what it answers with.
        .doNotHaveFullyQualifiedName("dev.millrace.transfer.nixl.DoctorProbe")
        .should()
        .accessField(System.class, "out")
        .orShould()
        .accessField(System.class, "err")
        .check(MILLRACE);
  }

  @Test
  void packages_areNullMarked() {
    // What protoc writes knows no nullness.
    classes()
        .that()
        .resideOutsideOfPackage("dev.millrace.transfer.rpc.v1")
        .should(liveInANullMarkedPackage())
        .check(MILLRACE);
  }

  @ParameterizedTest
  @EnumSource
  void router_keepsTheBans(RouterBans ban) {
    ban.in("dev.millrace.router..").check(MILLRACE);
  }

  /** Without this, a ban that never matches would look like one that is kept. */
  @ParameterizedTest
  @CsvSource({"NO_BLOCKING, 6", "NO_CLOCKS, 3", "NO_FOREIGN_SCHEDULER, 2"})
  void bans_findWhatIsBanned(RouterBans ban, int violations) {
    JavaClasses banned =
        new ClassFileImporter().importPackages("dev.millrace.cli.architecture.banned");

    EvaluationResult result = ban.in("dev.millrace.cli.architecture.banned..").evaluate(banned);

    assertThat(result.getFailureReport().getDetails()).hasSize(violations);
  }

  private static ArchCondition<JavaClass> liveInANullMarkedPackage() {
    return new ArchCondition<>("live in a @NullMarked package") {
      @Override
      public void check(JavaClass type, ConditionEvents events) {
        boolean marked = type.getPackage().isAnnotatedWith(NullMarked.class);
        String message = type.getPackageName() + " has no @NullMarked package-info.java";
        events.add(new SimpleConditionEvent(type, marked, message));
      }
    };
  }
}
