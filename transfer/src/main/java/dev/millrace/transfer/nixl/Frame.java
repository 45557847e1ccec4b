package dev.millrace.transfer.nixl;

import dev.millrace.transfer.SharedSecret;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * What transports of a deployment tell each other, as NIXL notifications.
 *
 * <p>NIXL's notifications are neither authenticated nor confirmed, and owners do not learn who
 * reads them. Frames add that: each is signed for its sender and receiver and numbered.
 *
 * <pre>
 * reader -> owner   HELLO contact      owner -> reader   WELCOME regions
 * reader -> owner   ASK                owner -> reader   ANSWER description
 * reader -> owner   DELIVER payload    owner -> reader   CONFIRM whether it was taken
 * owner -> reader   REVOKE region      reader -> owner   REVOKED region
 * owner -> reader   CLOSING            reader -> owner   BYE
 * owner -> reader   KNOCK
 *
 * frame := magic:8 kind:1 number:8 body HMAC-SHA256:32
 * </pre>
 */
sealed interface Frame {
  /** The sender has loaded the receiver's description and can be reached so. */
  record Hello(Body contact) implements Frame {}

  /** Answers a hello: the memory that can be read right now. */
  record Welcome(long answers, List<Region> regions) implements Frame {}

  /** A notification of the application. */
  record Deliver(Body payload) implements Frame {}

  /** What became of a notification. */
  record Confirm(long answers, Taken taken) implements Frame {}

  /** Whether a notification had a handler. */
  enum Taken {
    NOBODY_LISTENS(0),
    BY_HANDLER(1);

    private final byte code;

    Taken(int code) {
      this.code = (byte) code;
    }
  }

  /** The sender needs memory that is not in the description it has. */
  record Ask() implements Frame {}

  /** Answers an ask: the description as it is now. */
  record Answer(long answers, Body description) implements Frame {}

  /** The sender is about to end. */
  record Closing() implements Frame {}

  /** The sender wants to free this memory: stop reading it, then say so. */
  record Revoke(Region region, Body contact) implements Frame {}

  /** Nothing of the sender's reads this memory any more, or will. */
  record Revoked(Region region) implements Frame {}

  /** The sender will not read any more. */
  record Bye() implements Frame {}

  /** Nothing: whether it can be sent at all is the question. */
  record Knock() implements Frame {}

  /** Bytes inside a frame. */
  record Body(ByteBuffer buffer) {
    static Body of(byte[] bytes) {
      return new Body(ByteBuffer.wrap(bytes).asReadOnlyBuffer());
    }

    byte[] bytes() {
      byte[] bytes = new byte[buffer.remaining()];
      buffer.duplicate().get(bytes);
      return bytes;
    }
  }

  /**
   * A frame with its number, which grows from frame to frame of a sender, so that a recorded one is
   * of no use.
   */
  record Numbered(long number, Frame frame) {}

  /** Not the start of any text, or of vLLM's notifications. */
  long MAGIC = 0x934d524e584601feL;

  int MAGIC_BYTES = Long.BYTES;

  /** Whether a notification claims to be a frame. */
  static boolean isFrame(byte[] notification) {
    return notification.length >= MAGIC_BYTES && ByteBuffer.wrap(notification).getLong() == MAGIC;
  }

  /** The signed bytes, for one sender and one receiver. */
  static byte[] seal(Numbered numbered, String sender, String receiver, SharedSecret secret) {
    byte[] body = body(numbered.frame());
    int bytes = MAGIC_BYTES + 1 + 8 + body.length;
    ByteBuffer out = ByteBuffer.allocate(bytes + SharedSecret.SIGNATURE_BYTES);
    out.putLong(MAGIC).put(kind(numbered.frame())).putLong(numbered.number()).put(body);
    out.put(secret.sign(purpose(sender, receiver), ByteBuffer.wrap(out.array(), 0, bytes)));
    return out.array();
  }

  /** Reads signed bytes; empty if they are not what {@link #seal} gave for the same ends. */
  static Optional<Numbered> open(
      byte[] sealed, String sender, String receiver, SharedSecret secret) {
    int signed = sealed.length - SharedSecret.SIGNATURE_BYTES;
    if (signed < MAGIC_BYTES + 9 || !isFrame(sealed)) {
      return Optional.empty();
    }
    byte[] signature = Arrays.copyOfRange(sealed, signed, sealed.length);
    if (!secret.hasSigned(
        signature, purpose(sender, receiver), ByteBuffer.wrap(sealed, 0, signed))) {
      return Optional.empty();
    }
    ByteBuffer in = ByteBuffer.wrap(sealed, MAGIC_BYTES, signed - MAGIC_BYTES);
    try {
      byte kind = in.get();
      long number = in.getLong();
      return parse(kind, in).map(frame -> new Numbered(number, frame));
    } catch (BufferUnderflowException | IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  private static String purpose(String sender, String receiver) {
    return "millrace nixl frame\0" + sender + "\0" + receiver;
  }

  private static byte kind(Frame frame) {
    return switch (frame) {
      case Hello _ -> 1;
      case Welcome _ -> 2;
      case Deliver _ -> 3;
      case Confirm _ -> 4;
      case Revoke _ -> 5;
      case Revoked _ -> 6;
      case Bye _ -> 7;
      case Ask _ -> 8;
      case Answer _ -> 9;
      case Closing _ -> 10;
      case Knock _ -> 11;
    };
  }

  private static byte[] body(Frame frame) {
    return switch (frame) {
      case Hello(Body contact) -> contact.bytes();
      case Welcome(long answers, List<Region> regions) -> {
        ByteBuffer out = ByteBuffer.allocate(8 + 16 * regions.size()).putLong(answers);
        regions.forEach(region -> put(out, region));
        yield out.array();
      }
      case Deliver(Body payload) -> payload.bytes();
      case Confirm(long answers, Taken taken) ->
          ByteBuffer.allocate(9).putLong(answers).put(taken.code).array();
      case Answer(long answers, Body description) -> {
        byte[] bytes = description.bytes();
        yield ByteBuffer.allocate(8 + bytes.length).putLong(answers).put(bytes).array();
      }
      case Revoke(Region region, Body contact) -> {
        byte[] bytes = contact.bytes();
        ByteBuffer out = ByteBuffer.allocate(16 + bytes.length);
        put(out, region);
        yield out.put(bytes).array();
      }
      case Revoked(Region region) -> {
        ByteBuffer out = ByteBuffer.allocate(16);
        put(out, region);
        yield out.array();
      }
      case Bye _, Ask _, Closing _, Knock _ -> new byte[0];
    };
  }

  private static Optional<Frame> parse(byte kind, ByteBuffer in) {
    return switch (kind) {
      case 1 -> Optional.of(new Hello(rest(in)));
      case 2 -> {
        long answers = in.getLong();
        List<Region> regions = new ArrayList<>();
        while (in.hasRemaining()) {
          regions.add(region(in));
        }
        yield Optional.of(new Welcome(answers, List.copyOf(regions)));
      }
      case 3 -> Optional.of(new Deliver(rest(in)));
      case 4 -> Optional.of(new Confirm(in.getLong(), taken(in.get())));
      case 5 -> {
        Region region = region(in);
        yield Optional.of(new Revoke(region, rest(in)));
      }
      case 6 -> Optional.of(new Revoked(region(in)));
      case 7 -> Optional.of(new Bye());
      case 8 -> Optional.of(new Ask());
      case 9 -> {
        long answers = in.getLong();
        yield Optional.of(new Answer(answers, rest(in)));
      }
      case 10 -> Optional.of(new Closing());
      case 11 -> Optional.of(new Knock());
      default -> Optional.empty();
    };
  }

  private static Taken taken(byte code) {
    for (Taken taken : Taken.values()) {
      if (taken.code == code) {
        return taken;
      }
    }
    throw new IllegalArgumentException("verdict " + code);
  }

  private static void put(ByteBuffer out, Region region) {
    out.putLong(region.address()).putLong(region.bytes());
  }

  private static Region region(ByteBuffer in) {
    return new Region(in.getLong(), in.getLong());
  }

  private static Body rest(ByteBuffer in) {
    byte[] bytes = new byte[in.remaining()];
    in.get(bytes);
    return Body.of(bytes);
  }
}
