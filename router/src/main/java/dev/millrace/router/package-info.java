/** To be taught here. */
@NullMarked
package dev.millrace.router;

import org.jspecify.annotations.NullMarked;
