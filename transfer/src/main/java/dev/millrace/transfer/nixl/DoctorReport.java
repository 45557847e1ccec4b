package dev.millrace.transfer.nixl;

import java.util.ArrayList;
import java.util.List;

/**
 * What {@link NixlDoctor} found.
 *
 * @param findings in the order they were looked at; what comes after a failure is missing
 * @param log the last of what NIXL and UCX wrote, to be shown when something failed
 */
public record DoctorReport(List<Finding> findings, List<String> log) {

  /** How a finding is meant. */
  public enum State {
    /** As it should be. */
    WELL,
    /** Worth knowing. */
    NOTE,
    /** NIXL cannot be used. */
    ILL
  }

  /**
   * One thing that was looked at.
   *
   * @param what its name
   * @param found what there is, for people
   * @param remedy what to do, empty if nothing
   */
  public record Finding(State state, String what, String found, String remedy) {}

  public DoctorReport {
    findings = List.copyOf(findings);
    log = List.copyOf(log);
  }

  /** Whether blocks can be moved with this install. */
  public boolean isWell() {
    return findings.stream().noneMatch(finding -> finding.state() == State.ILL);
  }

  /** The report as text, a line per finding, with what to do below those that need it. */
  public List<String> lines() {
    List<String> lines = new ArrayList<>();
    for (Finding finding : findings) {
      String mark =
          switch (finding.state()) {
            case WELL -> "ok  ";
            case NOTE -> "note";
            case ILL -> "FAIL";
          };
      lines.add("%s  %-11s %s".formatted(mark, finding.what(), finding.found()));
      if (!finding.remedy().isEmpty()) {
        lines.add("      %-11s to do: %s".formatted("", finding.remedy()));
      }
    }
    if (!isWell() && !log.isEmpty()) {
      lines.add("NIXL and UCX said last:");
      log.forEach(line -> lines.add("  " + line));
    }
    return lines;
  }
}
