package dev.millrace.transfer.agent;

/** The agent could not do what it was asked; the message tells people why. */
public final class AgentRefusal extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final Reason reason;
  private final String text;

  public AgentRefusal(Reason reason, String message) {
    super(message, null, false, false);
    this.reason = reason;
    this.text = message;
  }

  /** What kind of failure it is. */
  public Reason reason() {
    return reason;
  }

  /** The message, which is always there. */
  public String text() {
    return text;
  }
}
