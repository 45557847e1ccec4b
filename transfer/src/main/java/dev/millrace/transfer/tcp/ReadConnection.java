package dev.millrace.transfer.tcp;

import dev.millrace.layout.RunCursor;
import dev.millrace.transfer.ReadOutcome.Cause;
import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * The reader's end of a connection: asks for batches of runs and scatters the answers.
 *
 * <p>While one batch arrives, the next one has already been asked for. A request is small enough to
 * fit any socket's buffers, so the two ends never wait for each other to read.
 */
final class ReadConnection {
  /** How far a read has come. */
  static final class Progress {
    long bytes;
    long runs;
  }

  private final Wire wire;
  private final Context context;
  private final Pieces pieces = new Pieces();
  private final ByteBuffer request = ByteBuffer.allocateDirect(FrameType.READ.mostBytes());
  private Batch arriving;
  private Batch next;
  private int requests;
  private long source;
  private long target;
  private long left;

  ReadConnection(Wire wire, Context context) {
    this.wire = wire;
    this.context = context;
    this.arriving = new Batch(context.memory, wire);
    this.next = new Batch(context.memory, wire);
  }

  Wire wire() {
    return wire;
  }

  /** Reads all runs. After an exception the connection is of no use any more. */
  void read(RunCursor runs, Progress progress) throws IOException {
    wire.work();
    left = 0;
    try {
      ask(arriving, runs, progress);
      while (arriving.count() > 0) {
        ask(next, runs, progress);
        await(arriving, progress);
        arriving.release();
        Batch done = arriving;
        arriving = next;
        next = done;
      }
    } finally {
      pieces.clear();
      arriving.release();
      next.release();
      wire.rest();
    }
  }

  /** Fills {@code batch} with the next runs and asks for them, if there are any. */
  private void ask(Batch batch, RunCursor runs, Progress progress) throws IOException {
    batch.begin(++requests);
    request.clear();
    while (!batch.isFull() && (left > 0 || advance(runs, progress))) {
      int part = (int) Math.min(left, Region.WINDOW_BYTES);
      batch.add(target, part);
      request.putLong(source).putInt(part);
      source += part;
      target += part;
      left -= part;
    }
    if (batch.count() > 0) {
      pieces.clear();
      pieces.add(request.flip());
      wire.send(FrameType.READ, batch.request(), pieces);
    }
  }

  private boolean advance(RunCursor runs, Progress progress) throws ReadFailure {
    if (!runs.next()) {
      return false;
    }
    progress.runs++;
    source = runs.sourceAddress();
    target = runs.targetAddress();
    left = runs.bytes();
    try {
      context.memory.find(target, left);
    } catch (ReadFailure e) {
      throw new ReadFailure(
          Cause.OUT_OF_BOUNDS,
          "run %d, destination: %s here (%s)"
              .formatted(progress.runs - 1, e.getMessage(), context.options.name()));
    }
    return true;
  }

  private void await(Batch batch, Progress progress) throws IOException {
    while (batch.remaining() > 0) {
      Wire.Header header = wire.header();
      switch (header.type()) {
        case DATA -> {
          if (header.request() != batch.request()
              || header.length() < 1
              || header.length() > batch.remaining()) {
            throw ReadFailure.corrupt(
                "%d bytes for request %d, where %d bytes of request %d were due"
                    .formatted(
                        header.length(), header.request(), batch.remaining(), batch.request()));
          }
          pieces.clear();
          batch.take(header.length(), pieces);
          wire.receive(header, pieces);
          progress.bytes += header.length();
          context.bytesRead.add(header.length());
        }
        case ERROR -> throw Refusal.decode(wire.receive(header));
        case HELLO, READ, NOTIFY, ACK ->
            throw ReadFailure.corrupt("a " + header.type() + " frame in the answer to a read");
      }
    }
  }
}
