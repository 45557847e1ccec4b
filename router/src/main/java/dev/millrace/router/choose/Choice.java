package dev.millrace.router.choose;

import dev.millrace.router.edges.Edge;
import dev.millrace.router.http.Problem;

/** Who takes an exchange. */
public sealed interface Choice {
  /**
   * A prefill and a decode worker, with a place reserved on each.
   *
   * @param edge between them, over which blocks can go
   * @param prefill place of the prefill leg
   * @param decode place of the decode leg
   */
  record Disaggregate(Edge edge, Reservation prefill, Reservation decode) implements Choice {}

  /**
   * A decode worker alone, which computes the prompt as well.
   *
   * @param decode place of the decode leg
   * @param why no prefill worker takes part, for people
   */
  record DecodeOnly(Reservation decode, String why) implements Choice {}

  /**
   * Nobody at this moment: the decode workers of all pairs that fit have no room for its KV cache.
   *
   * @param tokens that it needs
   */
  record Full(long tokens) implements Choice {}

  /** Nobody at this moment, but pairs are being judged of which one may do. */
  record NotYet() implements Choice {}

  /**
   * Nobody.
   *
   * @param problem why, and what the client may do
   */
  record Refuse(Problem problem) implements Choice {}
}
