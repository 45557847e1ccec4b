package dev.millrace.layout.compatibility;

/** How a fact of an engine is known, the most reliable first. */
public enum Origin {
  /** The engine said so itself. */
  PROBED,
  /** An operator says so. */
  DECLARED,
  /** It follows from other facts, or is what the engine does when nothing else is said. */
  DERIVED
}
