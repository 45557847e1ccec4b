/**
 * What the official Java client sees of Millrace's public port: a program that {@code
 * load-tests/conformance/run} tells cases, and that says what came of each.
 *
 * <p>Every whole answer has to pass the client's own {@code validate()}, which holds it to OpenAI's
 * schema, and to be what one engine says that is asked without Millrace.
 */
@NullMarked
package dev.millrace.conformance;

import org.jspecify.annotations.NullMarked;
