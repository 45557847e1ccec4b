/**
 * Which workers there are, by those who know it better than a file that somebody writes.
 *
 * <p>{@link dev.millrace.router.discover.Members} makes the table that is in force: the one that
 * was read, with the workers that name servers know beside those that it lists. When they know
 * others, that table is made anew, and takes over as a table that is read anew does: there is no
 * other way by which a pool changes.
 */
@NullMarked
package dev.millrace.router.discover;

import org.jspecify.annotations.NullMarked;
