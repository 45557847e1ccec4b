package dev.millrace.router.edges;

import dev.millrace.config.CanaryRule;
import dev.millrace.config.Pairing;
import dev.millrace.router.probe.Sighting;
import java.util.List;
import java.util.Optional;

/** Judges a pair by what vLLM itself compares first: the compatibility hash. */
public final class HashJudge implements Judge {
  private static final String SIMULATED = "+millrace-sim";

  /** A judge. */
  public HashJudge() {}

  @Override
  public Judgement judge(Seen prefill, Seen decode, Pairing pairing) {
    boolean simulated = isSimulated(prefill) && isSimulated(decode);
    if (!simulated) {
      Optional<String> p = hash(prefill);
      Optional<String> d = hash(decode);
      if (p.isEmpty() || d.isEmpty()) {
        return new Judgement.Refuses(
            List.of("the compatibility hash of one side is not known: " + gaps(prefill, decode)));
      }
      if (!p.equals(d)) {
        return new Judgement.Refuses(
            List.of("the compatibility hashes differ: %s, %s".formatted(p.get(), d.get())));
      }
    }
    return new Judgement.Fits(
        Way.ENGINE,
        List.of(),
        pairing.canary() != CanaryRule.OFF && needsCanary(prefill, decode, pairing));
  }

  private static boolean needsCanary(Seen prefill, Seen decode, Pairing pairing) {
    return pairing.canary() == CanaryRule.ALWAYS
        || !prefill
            .sighting()
            .cache()
            .flatMap(Sighting.CacheConfig::blockSize)
            .equals(decode.sighting().cache().flatMap(Sighting.CacheConfig::blockSize));
  }

  private static boolean isSimulated(Seen seen) {
    return seen.sighting().version().filter(version -> version.endsWith(SIMULATED)).isPresent();
  }

  private static Optional<String> hash(Seen seen) {
    return seen.sighting().handshake().map(Sighting.Rank::compatibilityHash);
  }

  private static String gaps(Seen prefill, Seen decode) {
    return prefill.sighting().gaps() + " " + decode.sighting().gaps();
  }
}
