package dev.millrace.transfer.sidechannel;

import static java.nio.charset.StandardCharsets.US_ASCII;

import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * A ZeroMQ connection: ZMTP 3.0 without security, as much of it as a question and its answer need.
 *
 * <pre>
 * connection := greeting:64 ready message*
 * greeting   := ff 0:8 7f 03 00 "NULL" 0:16 0 0:31
 * frame      := flags:1 size:1|8 body          flags: 1 more, 2 long size, 4 command
 * ready      := command frame: 05 "READY" (name:1+n value:4+n)*
 * </pre>
 *
 * <p>JeroMQ 0.6.0 is not used for it: with a context per connection it leaves a few first requests
 * in a thousand without an answer, and it has no bound on the frames of a message.
 *
 * @see <a href="https://rfc.zeromq.org/spec/23/">ZMTP 3.0</a>
 */
final class Zmtp implements Closeable {
  private static final int GREETING_BYTES = 64;
  private static final int MORE = 1;
  private static final int LONG = 2;
  private static final int COMMAND = 4;

  /** READY with a few properties; libzmq's has 30 bytes. */
  private static final int MOST_COMMAND_BYTES = 4096;

  /** The other end does not speak ZMTP 3, or says more than it may. */
  static final class Malformed extends IOException {
    private static final long serialVersionUID = 1;

    Malformed(String message) {
      super(message);
    }
  }

  private final Socket socket;
  private final int mostBytes;
  private long deadlineNanos;

  /**
   * A connection whose socket is connected.
   *
   * @param mostBytes of a message that is received, all frames together
   */
  Zmtp(Socket socket, int mostBytes) throws IOException {
    this.socket = socket;
    this.mostBytes = mostBytes;
    socket.setTcpNoDelay(true);
  }

  /** From now on what is received must be there within {@code left}. */
  void within(Duration left) {
    deadlineNanos = System.nanoTime() + left.toNanos();
  }

  /** Greets as a socket of this type, such as {@code REQ}. */
  void greet(String socketType) throws IOException {
    ByteBuffer greeting = ByteBuffer.allocate(GREETING_BYTES);
    greeting.put((byte) 0xff).putLong(0).put((byte) 0x7f);
    greeting.put((byte) 3).put((byte) 0).put("NULL".getBytes(US_ASCII));
    socket.getOutputStream().write(greeting.array());
    // The signature is looked at first: who does not speak ZeroMQ may send no more than that.
    checkSignature(read(10));
    checkGreeting(read(GREETING_BYTES - 10));

    ByteArrayOutputStream ready = new ByteArrayOutputStream();
    ready.write(5);
    ready.writeBytes("READY".getBytes(US_ASCII));
    property(ready, "Socket-Type", socketType);
    property(ready, "Identity", "");
    send(COMMAND, ready.toByteArray());
    int flags = socketRead();
    byte[] answer = body(flags, MOST_COMMAND_BYTES);
    if ((flags & COMMAND) == 0 || !startsWith(answer, "READY")) {
      throw new Malformed(
          startsWith(answer, "ERROR")
              ? "it refuses: " + new String(answer, US_ASCII)
              : "it sent something else than READY");
    }
  }

  private static void checkSignature(byte[] signature) throws Malformed {
    if (signature[0] != (byte) 0xff || (signature[9] & 1) == 0) {
      throw new Malformed("it does not speak ZeroMQ");
    }
  }

  private static void checkGreeting(byte[] rest) throws Malformed {
    if (rest[0] < 3 || !Arrays.equals(Arrays.copyOfRange(rest, 2, 6), "NULL".getBytes(US_ASCII))) {
      throw new Malformed(
          "it speaks ZMTP %d with security mechanism %s; needed is 3 or later with NULL"
              .formatted(rest[0], new String(rest, 2, 20, US_ASCII).trim()));
    }
  }

  private static void property(ByteArrayOutputStream out, String name, String value) {
    out.write(name.length());
    out.writeBytes(name.getBytes(US_ASCII));
    out.writeBytes(ByteBuffer.allocate(4).putInt(value.length()).array());
    out.writeBytes(value.getBytes(US_ASCII));
  }

  private static boolean startsWith(byte[] command, String name) {
    byte[] bytes = name.getBytes(US_ASCII);
    return command.length > bytes.length
        && command[0] == bytes.length
        && Arrays.equals(command, 1, 1 + bytes.length, bytes, 0, bytes.length);
  }

  /** Sends a message of these frames. */
  void send(List<byte[]> frames) throws IOException {
    for (int i = 0; i < frames.size(); i++) {
      send(i + 1 < frames.size() ? MORE : 0, frames.get(i));
    }
  }

  private void send(int flags, byte[] body) throws IOException {
    ByteBuffer out = ByteBuffer.allocate(9 + body.length);
    if (body.length > 255) {
      out.put((byte) (flags | LONG)).putLong(body.length);
    } else {
      out.put((byte) flags).put((byte) body.length);
    }
    out.put(body);
    socket.getOutputStream().write(out.array(), 0, out.position());
  }

  /**
   * The frames of the next message; none if the other end has closed the connection between two.
   *
   * @param mostFrames how many frames are kept; a message of more is read to its end, as long as it
   *     has not too many bytes, and gives one frame more than that
   */
  Optional<List<byte[]>> receive(int mostFrames) throws IOException {
    List<byte[]> frames = new ArrayList<>();
    int left = mostBytes;
    while (true) {
      int flags = socketRead();
      if (flags < 0) {
        if (left == mostBytes) {
          return Optional.empty();
        }
        throw new EOFException("closed in the middle of a message");
      }
      byte[] body = body(flags, left);
      if ((flags & COMMAND) != 0) {
        // PING and the like, which only peers of ZMTP 3.1 that were told so would send.
        continue;
      }
      // A frame counts for its head, too, so that empty frames come to an end.
      left -= body.length + 2;
      if (frames.size() <= mostFrames) {
        frames.add(body);
      }
      if ((flags & MORE) == 0) {
        return Optional.of(frames);
      }
    }
  }

  /** The rest of a frame. */
  private byte[] body(int flags, int most) throws IOException {
    if (flags < 0) {
      throw new EOFException("closed by the other end");
    }
    if ((flags & ~(MORE | LONG | COMMAND)) != 0) {
      throw new Malformed("a frame with flags %#x".formatted(flags));
    }
    long size =
        (flags & LONG) != 0 ? ByteBuffer.wrap(read(8)).getLong() : Byte.toUnsignedInt(read(1)[0]);
    if (size < 0 || size > most) {
      throw new Malformed(
          "a frame of %s bytes, where at most %d are read"
              .formatted(Long.toUnsignedString(size), Math.max(0, most)));
    }
    return read((int) size);
  }

  private int socketRead() throws IOException {
    awaitAtMost();
    return socket.getInputStream().read();
  }

  private byte[] read(int count) throws IOException {
    byte[] bytes = new byte[count];
    int done = 0;
    while (done < count) {
      awaitAtMost();
      int n = socket.getInputStream().read(bytes, done, count - done);
      if (n < 0) {
        throw new EOFException("closed by the other end");
      }
      done += n;
    }
    return bytes;
  }

  private void awaitAtMost() throws IOException {
    long millis = (deadlineNanos - System.nanoTime()) / 1_000_000;
    if (millis < 1) {
      throw new SocketTimeoutException("too late");
    }
    socket.setSoTimeout((int) Math.min(millis, Integer.MAX_VALUE));
  }

  @Override
  public void close() throws IOException {
    socket.close();
  }
}
