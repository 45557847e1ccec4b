package dev.millrace.transfer.tcp;

import dev.millrace.transfer.ReadOutcome.Cause;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/** The owner's end of a connection: answers reads out of registered memory, takes notifications. */
final class Serving {
  private final Context context;
  private final Wire wire;
  private final Batch batch;
  private final Pieces pieces = new Pieces();
  private final ByteBuffer request = ByteBuffer.allocateDirect(FrameType.READ.mostBytes());
  private String peer = "?";

  Serving(Context context, Wire wire) {
    this.context = context;
    this.wire = wire;
    this.batch = new Batch(context.memory, wire);
  }

  /** Serves an authenticated connection until its other end closes it. */
  void serve() throws IOException {
    wire.work();
    Wire.Header hello = wire.header();
    if (hello.type() != FrameType.HELLO) {
      throw ReadFailure.corrupt("the first frame is " + hello.type());
    }
    peer = new String(wire.receive(hello), StandardCharsets.UTF_8);
    wire.rest();
    Optional<Wire.Header> header = wire.nextHeader();
    while (header.isPresent()) {
      wire.work();
      handle(header.get());
      wire.rest();
      header = wire.nextHeader();
    }
  }

  private void handle(Wire.Header header) throws IOException {
    switch (header.type()) {
      case READ -> answer(header);
      case NOTIFY -> {
        Optional<String> refused = context.deliver(peer, wire.receive(header));
        if (refused.isPresent()) {
          refuse(header, Cause.CLOSED, refused.get());
        } else {
          wire.send(FrameType.ACK, header.request(), new byte[0]);
        }
      }
      case HELLO, DATA, ERROR, ACK ->
          throw ReadFailure.corrupt("a " + header.type() + " frame as a request");
    }
  }

  private void answer(Wire.Header header) throws IOException {
    if (header.length() % Batch.RUN_BYTES != 0) {
      throw ReadFailure.corrupt("a READ frame of " + header.length() + " bytes");
    }
    pieces.clear();
    pieces.add(request.clear().limit(header.length()));
    wire.receive(header, pieces);
    try {
      batch.begin(header.request());
      while (request.hasRemaining()) {
        batch.add(request.getLong(), request.getInt());
      }
      while (batch.remaining() > 0) {
        pieces.clear();
        int bytes = (int) Math.min(batch.remaining(), FrameType.DATA.mostBytes());
        batch.take(bytes, pieces);
        wire.send(FrameType.DATA, header.request(), pieces);
        context.bytesServed.add(bytes);
      }
    } catch (ReadFailure e) {
      refuse(
          header, e.kind(), "source: %s of %s".formatted(e.getMessage(), context.options.name()));
    } finally {
      pieces.clear();
      batch.release();
    }
  }

  private void refuse(Wire.Header header, Cause cause, String reason) throws IOException {
    wire.send(FrameType.ERROR, header.request(), new Refusal(cause, reason).encode());
  }
}
