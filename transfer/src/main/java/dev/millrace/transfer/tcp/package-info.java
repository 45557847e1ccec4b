/**
 * The TCP transport: block reads between processes with nothing but the JDK.
 *
 * <p>One-sided reads are made of two ordinary sides. The owner of the memory runs a {@code
 * Listener} that answers requests out of registered memory with gathering writes; the reader's
 * {@code TcpPeer} sends requests and scatters the answers with scattering reads into registered
 * memory. Neither copies a payload through the heap; small runs take a detour through a buffer (see
 * Pieces).
 *
 * <p>A connection carries one read at a time, and is borrowed from the peer's small set for as long
 * as the read takes. So a read that is abandoned takes its connection with it and nothing has to be
 * resynchronised, and a slow read never stands in front of another one. Notifications have a
 * connection and a thread of their own, which is what keeps them in order.
 *
 * <pre>
 * connection := greeting frame*                   (see Authentication)
 * frame      := length:4 type:1 0:3 request:4 crc(payload):4 crc(header):4 payload
 * reader  -> owner:  HELLO name | READ (address:8 length:4)* | NOTIFY bytes
 * owner   -> reader: DATA bytes | ERROR cause:1 text          | ACK
 * </pre>
 *
 * <p>A READ asks for a batch of runs; its answer is DATA frames with the bytes of all runs, one
 * after the other, in the order of the request. Two batches are under way at a time, so that the
 * owner always has something to send; what a connection keeps in memory does not depend on how much
 * is read.
 *
 * <p>The shared secret keeps strangers out; it does not hide what is sent. On networks that others
 * can listen on or meddle with, run it inside a tunnel.
 */
@NullMarked
package dev.millrace.transfer.tcp;

import org.jspecify.annotations.NullMarked;
