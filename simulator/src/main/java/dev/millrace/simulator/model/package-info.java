/**
 * What the simulated model computes: tokens from text, KV bytes from a prefix, words from token
 * ids. Pure functions without state.
 */
@NullMarked
package dev.millrace.simulator.model;

import org.jspecify.annotations.NullMarked;
