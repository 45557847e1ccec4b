package dev.millrace.simulator.core;

/** Whatever says tokens to a prompt. Called on the engine's event loop. */
public interface Generator {
  /** Starts a generation, or queues it. */
  void submit(Generation generation);

  /** Ends a generation: nobody listens any more, or what it said is enough. Idempotent. */
  void end(Generation generation, Ending ending);
}
