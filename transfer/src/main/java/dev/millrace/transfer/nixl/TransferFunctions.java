package dev.millrace.transfer.nixl;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * NIXL's functions about descriptor lists and transfer requests: one method per function, nothing
 * else. A request belongs to one thread at a time. The class must not be touched before the library
 * is open.
 */
final class TransferFunctions {
  private static final MethodHandle CREATE_XFER_DLIST =
      Downcall.of("create_xfer_dlist", JAVA_INT, JAVA_INT, ADDRESS);
  private static final MethodHandle XFER_DLIST_ADD_DESC =
      Downcall.of("xfer_dlist_add_desc", JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG, JAVA_LONG);
  private static final MethodHandle DESTROY_XFER_DLIST =
      Downcall.of("destroy_xfer_dlist", JAVA_INT, ADDRESS);
  private static final MethodHandle CREATE_XFER_REQ =
      Downcall.of(
          "create_xfer_req",
          JAVA_INT,
          ADDRESS,
          JAVA_INT,
          ADDRESS,
          ADDRESS,
          ADDRESS,
          ADDRESS,
          ADDRESS);
  private static final MethodHandle POST_XFER_REQ =
      Downcall.of("post_xfer_req", JAVA_INT, ADDRESS, ADDRESS, ADDRESS);
  private static final MethodHandle GET_XFER_STATUS =
      Downcall.of("get_xfer_status", JAVA_INT, ADDRESS, ADDRESS);
  private static final MethodHandle GET_XFER_TELEMETRY =
      Downcall.of("get_xfer_telemetry", JAVA_INT, ADDRESS, ADDRESS, ADDRESS);
  private static final MethodHandle RELEASE_XFER_REQ =
      Downcall.of("release_xfer_req", JAVA_INT, ADDRESS, ADDRESS);
  private static final MethodHandle DESTROY_XFER_REQ =
      Downcall.of("destroy_xfer_req", JAVA_INT, ADDRESS);

  private TransferFunctions() {}

  static int createXferDlist(int memoryType, MemorySegment outList) {
    try {
      return (int) CREATE_XFER_DLIST.invokeExact(memoryType, outList);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  static int xferDlistAddDesc(MemorySegment list, long address, long bytes, long device) {
    try {
      return (int) XFER_DLIST_ADD_DESC.invokeExact(list, address, bytes, device);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  static int destroyXferDlist(MemorySegment list) {
    try {
      return (int) DESTROY_XFER_DLIST.invokeExact(list);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  /** Copies the lists. Its own range check can be fooled by lengths that wrap. */
  static int createXferReq(
      MemorySegment agent,
      int operation,
      MemorySegment local,
      MemorySegment remote,
      MemorySegment name,
      MemorySegment outRequest,
      MemorySegment args) {
    try {
      return (int)
          CREATE_XFER_REQ.invokeExact(agent, operation, local, remote, name, outRequest, args);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  /** Starts the request; copies all of it before returning where the peer is on this host. */
  static int postXferReq(MemorySegment agent, MemorySegment request, MemorySegment args) {
    try {
      return (int) POST_XFER_REQ.invokeExact(agent, request, args);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  /** Also drives the network. */
  static int getXferStatus(MemorySegment agent, MemorySegment request) {
    try {
      return (int) GET_XFER_STATUS.invokeExact(agent, request);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  static int getXferTelemetry(
      MemorySegment agent, MemorySegment request, MemorySegment outTelemetry) {
    try {
      return (int) GET_XFER_TELEMETRY.invokeExact(agent, request, outTelemetry);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  /** Answers success for a request in flight, whose data keeps coming. */
  static int releaseXferReq(MemorySegment agent, MemorySegment request) {
    try {
      return (int) RELEASE_XFER_REQ.invokeExact(agent, request);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  /** Frees the wrapper, after the release. */
  static int destroyXferReq(MemorySegment request) {
    try {
      return (int) DESTROY_XFER_REQ.invokeExact(request);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }
}
