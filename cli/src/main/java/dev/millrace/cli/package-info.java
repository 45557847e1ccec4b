/**
 * The {@code millrace} command; the only place that knows all the modules.
 *
 * <p>{@link dev.millrace.cli.Millrace} parses the command line and turns however a command ends
 * into an exit code and at most a few lines on standard error. One class per command reads its
 * flags and says what it did; the work is done by the modules. Long-running commands wait for a
 * {@link dev.millrace.cli.StopSignal}, which Ctrl-C, SIGTERM or a test gives, and then close what
 * they opened.
 *
 * <p>A demo over NIXL runs engines and agent as {@link dev.millrace.cli.Child}ren of its process.
 */
@NullMarked
package dev.millrace.cli;

import org.jspecify.annotations.NullMarked;
