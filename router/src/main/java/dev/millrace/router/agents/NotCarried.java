package dev.millrace.router.agents;

/** Blocks could not be brought to a decode engine; the message says why. */
public final class NotCarried extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** Whose fault it is. */
  public enum Blamed {
    /** The two engines cannot be brought together, or one of them went away. */
    EDGE,
    /** The agent is full or gone; another time it may do. */
    AGENT
  }

  private final Blamed blamed;
  private final String reason;

  NotCarried(Blamed blamed, String reason, String message) {
    super(message, null, false, false);
    this.blamed = blamed;
    this.reason = reason;
  }

  /** No agent could be asked. */
  public static NotCarried byNobody(String why) {
    return new NotCarried(Blamed.AGENT, "no_agent", why);
  }

  /** The prefill engine may free the blocks before they are read. */
  public static NotCarried tooLate() {
    return new NotCarried(
        Blamed.AGENT,
        "too_late",
        "bringing them took most of the lease that the prefill engine gives them");
  }

  /** Whose fault it is. */
  public Blamed blamed() {
    return blamed;
  }

  /** In a word, for counting: an agent's reason, or how the call of it ended. */
  public String reason() {
    return reason;
  }
}
