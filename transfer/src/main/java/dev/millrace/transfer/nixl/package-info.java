/**
 * Moving blocks with NIXL, called through the JDK's foreign functions.
 *
 * <p>NIXL reads and writes the memory of other processes over whatever network UCX finds: RDMA,
 * TCP, shared memory. It is a C++ library with three habits that shape this package. It trusts what
 * it is given: a wrong length or an altered description ends a process, its own or the
 * <em>other</em> one. It cannot cancel: a read that nobody waits for any more goes on writing. And
 * it waits for ever.
 *
 * <p>So everything is checked in Java before it becomes a downcall: descriptions are signed and
 * list the memory that may be read, each run is held against both sides' lists without arithmetic
 * that can wrap, and a handle that was released refuses to give its pointer away. What cannot be
 * cancelled is kept in quarantine, with the memory it may write, until NIXL is done with it. And
 * all waiting is ours: NIXL is asked, never waited for, by a few platform threads that belong to
 * the transport.
 *
 * <pre>
 * Nixl            the door: finds and opens the library, or says which command gets it
 * *Functions      one static method per C function, nothing else
 * *Handle         one owner per native object, with a state
 * Envelope        how a transport describes itself to another one; RegionTable, what may be read
 * RegisteredMemory  this side's memory, and how it is taken back
 * Relations       whom this agent reads from (Links), who reads from it (Readers), and what is
 *                 under way between them (Introductions, Refreshes, Confirmations)
 * Mailbox, Frame  what transports tell each other, as signed notifications
 * ControlLoop     one thread: metadata, memory, notifications
 * TransferLoop    a few threads: reads (NixlRead), and the quarantine
 * NixlTransport   puts them together as a BlockTransport
 * NixlDoctor      looks at an install and tries it in a process of its own
 * </pre>
 *
 * <p>The C API belongs to NIXL 0.10.1 and newer; versions 1.4 and 1.5 have been tried.
 */
@NullMarked
package dev.millrace.transfer.nixl;

import org.jspecify.annotations.NullMarked;
