package dev.millrace.transfer.nixl;

import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import org.junit.platform.engine.FilterResult;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.EngineFilter;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.PostDiscoveryFilter;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;

/** Runs tests in a process of their own, in which UCX has nothing but TCP. */
final class OverTcp {
  static final String SUMMARY = "OVER TCP";

  private OverTcp() {}

  public static void main(String[] arguments) {
    PostDiscoveryFilter withoutCancellation =
        test ->
            FilterResult.includedIf(
                test.getSource()
                    .filter(MethodSource.class::isInstance)
                    .map(MethodSource.class::cast)
                    .filter(method -> method.getMethodName().startsWith("ownerFrozen_"))
                    .filter(
                        method -> method.getClassName().equals(NixlTransportTest.class.getName()))
                    .isEmpty());
    System.out.println(
        SUMMARY
            + " without ownerFrozen_...: NIXL cannot cancel a read, see TcpFaults for what happens instead");
    LauncherDiscoveryRequest request =
        LauncherDiscoveryRequestBuilder.request()
            .selectors(
                DiscoverySelectors.selectClass(NixlTransportTest.class),
                DiscoverySelectors.selectClass(TcpFaults.class))
            // Another engine would open its files a second time, beside the process that started
            // us.
            .filters(EngineFilter.includeEngines("junit-jupiter"), withoutCancellation)
            .configurationParameter("junit.jupiter.execution.timeout.default", "60 s")
            .build();
    TestExecutionListener names =
        new TestExecutionListener() {
          @Override
          public void executionStarted(TestIdentifier test) {
            // After a crash, the last name is the only trace.
            System.out.printf("> %tT.%<tL %s%n", System.currentTimeMillis(), test.getDisplayName());
          }
        };
    SummaryGeneratingListener listener = new SummaryGeneratingListener();
    LauncherFactory.create().execute(request, names, listener);
    listener
        .getSummary()
        .printFailuresTo(new PrintWriter(System.out, true, StandardCharsets.UTF_8), 30);
    System.out.printf(
        "%s %d passed %d failed %d skipped%n",
        SUMMARY,
        listener.getSummary().getTestsSucceededCount(),
        listener.getSummary().getTotalFailureCount(),
        listener.getSummary().getTestsSkippedCount());
    System.exit(listener.getSummary().getTotalFailureCount() == 0 ? 0 : 1);
  }
}
