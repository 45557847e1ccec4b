package dev.millrace.cli;

import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;

/** How this program is started once more: same JVM, flags and class path. */
final class OwnCommand {
  /** Flags that two JVMs cannot have at the same time. */
  private static final List<String> FLAGS_OF_ONE =
      List.of("-agentlib:", "-javaagent:", "-XX:AOTCacheOutput");

  private OwnCommand() {}

  /** The command line with these arguments. */
  static List<String> with(List<String> arguments) {
    List<String> command = new ArrayList<>();
    command.add(ProcessHandle.current().info().command().orElse("java"));
    for (String flag : ManagementFactory.getRuntimeMXBean().getInputArguments()) {
      if (FLAGS_OF_ONE.stream().noneMatch(flag::startsWith)) {
        command.add(flag);
      }
    }
    command.add("-cp");
    command.add(System.getProperty("java.class.path"));
    command.add(Millrace.class.getName());
    command.addAll(arguments);
    return command;
  }
}
