package dev.millrace.transfer.tcp;

import dev.millrace.transfer.ReadOutcome.Cause;
import java.io.EOFException;
import java.io.IOException;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * A connection as frames. Used by one thread at a time with blocking calls; any other thread can
 * {@link #abort} it, which makes the call return.
 *
 * <p>A header has a checksum of its own, so that its length can be trusted before the payload is
 * awaited.
 */
final class Wire implements AutoCloseable {
  static final int HEADER_BYTES = 20;

  /** Why a connection was closed from this side in the middle of an exchange. */
  record Abort(Cause cause, String reason) {}

  /** The start of a frame. */
  record Header(FrameType type, int length, int request, int checksum) {}

  private final SocketChannel channel;
  private final String remote;
  private final ByteBuffer headerIn = ByteBuffer.allocateDirect(HEADER_BYTES);
  private final ByteBuffer headerOut = ByteBuffer.allocateDirect(HEADER_BYTES);
  private final CRC32C crc = new CRC32C();
  private final AtomicReference<@Nullable Abort> abort = new AtomicReference<>();
  private final Runnable onClose;
  private volatile boolean busy;
  private volatile long progressNanos;

  /**
   * A connection.
   *
   * @param remote the other end, for people
   * @param onClose called when the connection closes, perhaps more than once
   */
  Wire(SocketChannel channel, String remote, Runnable onClose) throws IOException {
    this.channel = channel;
    this.remote = remote;
    this.onClose = onClose;
    channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
    channel.setOption(StandardSocketOptions.SO_KEEPALIVE, true);
  }

  SocketChannel channel() {
    return channel;
  }

  String remote() {
    return remote;
  }

  boolean isOpen() {
    return channel.isOpen();
  }

  /** From here on something must move until {@link #rest}. */
  void work() {
    progressNanos = System.nanoTime();
    busy = true;
  }

  void rest() {
    busy = false;
  }

  /** Aborts the connection if nothing has moved for too long in the middle of an exchange. */
  void abortIfStalled(Duration bound) {
    if (busy && System.nanoTime() - progressNanos > bound.toNanos()) {
      abort(Cause.PEER_LOST, "nothing moved for " + bound.toMillis() + " ms");
    }
  }

  /** Closes the connection; the first reason counts. */
  void abort(Cause cause, String reason) {
    abort.compareAndSet(null, new Abort(cause, reason));
    close();
  }

  Optional<Abort> aborted() {
    return Optional.ofNullable(abort.get());
  }

  /**
   * What an exception on this connection means: the abort, if there was one, rather than its echo.
   */
  IOException explain(IOException e) {
    Abort why = abort.get();
    return why == null ? e : new ReadFailure(why.cause(), why.reason());
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      // Nothing can be done for a socket that does not even close.
    }
    onClose.run();
  }

  void send(FrameType type, int request, Pieces payload) throws IOException {
    payload.gather();
    headerOut.clear();
    headerOut.putInt((int) payload.bytes()).put(type.code()).put((byte) 0).putShort((short) 0);
    headerOut.putInt(request).putInt(payload.checksum(crc));
    headerOut.putInt(headerChecksum(headerOut)).flip();
    payload.header(headerOut);
    ByteBuffer[] buffers = payload.buffers();
    int first = 0;
    while (first < payload.end()) {
      if (!buffers[first].hasRemaining()) {
        first++;
        continue;
      }
      channel.write(buffers, first, payload.end() - first);
      progressNanos = System.nanoTime();
    }
  }

  private int headerChecksum(ByteBuffer header) {
    crc.reset();
    crc.update(header.duplicate().position(0).limit(HEADER_BYTES - 4));
    return (int) crc.getValue();
  }

  /** The next header, or none if the other end has closed the connection between two frames. */
  Optional<Header> nextHeader() throws IOException {
    headerIn.clear();
    while (headerIn.hasRemaining()) {
      if (channel.read(headerIn) < 0) {
        if (headerIn.position() == 0) {
          return Optional.empty();
        }
        throw new EOFException("closed in the middle of a frame");
      }
      progressNanos = System.nanoTime();
    }
    headerIn.flip();
    if (headerIn.getInt(HEADER_BYTES - 4) != headerChecksum(headerIn)) {
      throw ReadFailure.corrupt("the checksum of a frame's header is wrong");
    }
    int length = headerIn.getInt(0);
    FrameType type = FrameType.of(headerIn.get(4));
    if (length < 0 || length > type.mostBytes()) {
      throw ReadFailure.corrupt(
          "a %s frame of %s bytes (at most %d)"
              .formatted(type, Integer.toUnsignedString(length), type.mostBytes()));
    }
    return Optional.of(new Header(type, length, headerIn.getInt(8), headerIn.getInt(12)));
  }

  /** The next header, where the exchange cannot end without one. */
  Header header() throws IOException {
    return nextHeader().orElseThrow(() -> new EOFException("closed by the other end"));
  }

  /** Fills {@code payload}, which has exactly the room that the header announced. */
  void receive(Header header, Pieces payload) throws IOException {
    ByteBuffer[] buffers = payload.buffers();
    int first = 1;
    while (first < payload.end()) {
      if (!buffers[first].hasRemaining()) {
        first++;
        continue;
      }
      if (channel.read(buffers, first, payload.end() - first) < 0) {
        throw new EOFException("closed in the middle of a frame");
      }
      progressNanos = System.nanoTime();
    }
    if (payload.checksum(crc) != header.checksum()) {
      throw ReadFailure.corrupt(
          "the checksum of a %s frame of %d bytes is wrong"
              .formatted(header.type(), header.length()));
    }
    payload.scatter();
  }

  /** The payload of a small frame. */
  byte[] receive(Header header) throws IOException {
    byte[] bytes = new byte[header.length()];
    Pieces pieces = new Pieces();
    pieces.add(ByteBuffer.wrap(bytes));
    receive(header, pieces);
    return bytes;
  }

  /** Sends a small frame. */
  void send(FrameType type, int request, byte[] payload) throws IOException {
    Pieces pieces = new Pieces();
    pieces.add(ByteBuffer.wrap(payload));
    send(type, request, pieces);
  }

  void readFully(ByteBuffer buffer) throws IOException {
    while (buffer.hasRemaining()) {
      if (channel.read(buffer) < 0) {
        throw new EOFException("closed by the other end");
      }
    }
    buffer.flip();
  }

  void writeFully(ByteBuffer buffer) throws IOException {
    while (buffer.hasRemaining()) {
      channel.write(buffer);
    }
  }
}
