package dev.millrace.transfer;

/** A transport could not do what it was asked, with the reason for people. */
public final class TransferException extends RuntimeException {
  private static final long serialVersionUID = 1;

  public TransferException(String message) {
    super(message);
  }

  public TransferException(String message, Throwable cause) {
    super(message, cause);
  }
}
