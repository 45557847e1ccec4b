/**
 * The operators' port: is the router alive, what is open on which worker, where did the time of an
 * exchange go. It has an event loop of its own and reads counters only.
 */
@NullMarked
package dev.millrace.router.admin;

import org.jspecify.annotations.NullMarked;
