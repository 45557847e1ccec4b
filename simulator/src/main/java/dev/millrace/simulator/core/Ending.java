package dev.millrace.simulator.core;

import java.util.Optional;

/** How a generation ended. */
public sealed interface Ending {

  /** The limit was reached. */
  record Length(Optional<HandOff> handOff) implements Ending {}

  /** The listener has heard enough: a stop string. */
  record Stopped(Optional<HandOff> handOff) implements Ending {}

  /** The client left. */
  record Aborted() implements Ending {}

  /** This request failed, the engine goes on. */
  record RequestFailed(String reason) implements Ending {}

  /** What kills a real engine's core happened. */
  record CoreFailed(String reason) implements Ending {}

  /** Too many wait already. */
  record Overloaded() implements Ending {}
}
