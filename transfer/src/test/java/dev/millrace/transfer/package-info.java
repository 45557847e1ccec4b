/** What every transport must do, as tests, and what those tests are made of. */
@NullMarked
package dev.millrace.transfer;

import org.jspecify.annotations.NullMarked;
