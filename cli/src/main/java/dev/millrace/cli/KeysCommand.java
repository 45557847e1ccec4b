package dev.millrace.cli;

import dev.millrace.router.access.Keys;
import java.security.SecureRandom;
import java.util.Base64;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code millrace keys}: about the keys by which clients may ask. */
@Command(name = "keys", description = "Makes keys for clients.")
final class KeysCommand implements Runnable {
  private static final String PREFIX = "mr-";

  /** As many bits as the hash has. */
  private static final int KEY_BYTES = 32;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "keys needs a subcommand: new");
  }

  @Command(
      name = "new",
      description = {
        "Makes a key. Standard output gets the entry for the file that listen.keys-file names;"
            + " standard error gets the key, which is kept nowhere and shown once."
      })
  int make(
      @Parameters(paramLabel = "NAME", description = "What whoever gets the key is called.")
          String name) {
    byte[] secret = new byte[KEY_BYTES];
    new SecureRandom().nextBytes(secret);
    String key = PREFIX + Base64.getUrlEncoder().withoutPadding().encodeToString(secret);
    spec.commandLine()
        .getOut()
        .printf(
            "  - {name: \"%s\", sha256: %s}%n",
            name.replace("\\", "\\\\").replace("\"", "\\\""), Keys.hash(key));
    spec.commandLine().getErr().println(key);
    return ExitCode.DONE;
  }
}
