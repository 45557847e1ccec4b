/**
 * The scheduler. A generation waits for blocks, gets its prompt computed or loaded, decodes token
 * by token and gives its blocks back, or leaves them pinned for a decode engine.
 */
@NullMarked
package dev.millrace.simulator.core;

import org.jspecify.annotations.NullMarked;
