package dev.millrace.transfer.nixl;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BOOLEAN;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.IntSupplier;

/**
 * A NIXL agent with its UCX backend.
 *
 * <p>What creates or changes metadata, memory and notifications takes the agent's lock exclusively
 * and is called by one thread, the one that opened the handle. Requests are its children: while one
 * exists, the agent cannot be closed.
 */
final class AgentHandle implements AutoCloseable {
  /** Below it, NIXL's progress thread keeps a core busy. */
  static final Duration PROGRESS_DELAY = Duration.ofMillis(1);

  /** {@code nixl_capi_agent_config_t}: 40 bytes, and the places of what is set in it. */
  private static final long CONFIG_BYTES = 40;

  private static final long PROGRESS_THREAD = 0;
  private static final long THREAD_SYNC = 8;
  private static final long WORKERS = 12;
  private static final long PROGRESS_DELAY_MICROS = 16;
  private static final long LISTENER_DELAY_MICROS = 24;
  private static final long CAPTURE_TELEMETRY = 32;
  private static final int SYNC_READ_WRITE_LOCK = 2;

  /** More than any description may be; a larger one means that we misread the answer. */
  private static final long MOST_METADATA_BYTES = 64L << 20;

  /** Agents that are created at the same time can hang in UCX (ai-dynamo/nixl issue 1668). */
  private static final Object CREATION = new Object();

  private final String name;
  private final MemorySegment agent;
  private final MemorySegment backend;
  private final MemorySegment viaBackend;
  private final MemorySegment notifications;
  private final AtomicInteger requests = new AtomicInteger();

  /**
   * Taken by whoever moves bytes. UCX has a lock of its own for that, on which threads spin for as
   * long as another one copies: here they sleep instead, and take turns.
   */
  private final ReentrantLock moving = new ReentrantLock(true);

  private volatile boolean closed;

  private AgentHandle(String name, MemorySegment agent, Map<String, String> parameters) {
    this.name = name;
    this.agent = agent;
    try (Arena call = Arena.ofConfined()) {
      MemorySegment out = call.allocate(ADDRESS);
      backend = createBackend(call, parameters);
      NixlFailure.check("create_opt_args", AgentFunctions.createOptArgs(out));
      viaBackend = out.get(ADDRESS, 0);
      NixlFailure.check(
          "opt_args_add_backend", AgentFunctions.optArgsAddBackend(viaBackend, backend));
      NixlFailure.check("create_notif_map", AgentFunctions.createNotifMap(out));
      notifications = out.get(ADDRESS, 0);
    }
  }

  /** Calls NIXL for something that may move bytes. */
  int move(IntSupplier call) {
    moving.lock();
    try {
      return call.getAsInt();
    } finally {
      moving.unlock();
    }
  }

  /**
   * Starts an agent.
   *
   * @param name how peers call it: unique among all processes, and among all starts of this one
   */
  static AgentHandle open(Nixl.Present nixl, String name, int workers) {
    if (name.isEmpty() || name.indexOf('\0') >= 0) {
      throw new IllegalArgumentException("\"" + name + "\" cannot be the name of a NIXL agent");
    }
    synchronized (CREATION) {
      try (Arena call = Arena.ofConfined()) {
        MemorySegment config = call.allocate(CONFIG_BYTES, 8);
        // Without a progress thread of ours, a peer's read waits until we happen to call NIXL.
        config.set(JAVA_BOOLEAN, PROGRESS_THREAD, true);
        config.set(JAVA_INT, THREAD_SYNC, SYNC_READ_WRITE_LOCK);
        config.set(JAVA_INT, WORKERS, workers);
        config.set(JAVA_LONG, PROGRESS_DELAY_MICROS, PROGRESS_DELAY.toNanos() / 1_000);
        config.set(JAVA_LONG, LISTENER_DELAY_MICROS, 100_000);
        config.set(JAVA_BOOLEAN, CAPTURE_TELEMETRY, true);
        MemorySegment out = call.allocate(ADDRESS);
        NixlFailure.check(
            "create_configured_agent",
            AgentFunctions.createConfiguredAgent(call.allocateFrom(name), config, out));
        MemorySegment agent = out.get(ADDRESS, 0);
        try {
          return new AgentHandle(name, agent, Map.of("num_workers", Integer.toString(workers)));
        } catch (NixlFailure e) {
          AgentFunctions.destroyAgent(agent);
          throw new IllegalStateException(
              "the UCX backend of NIXL %s did not start (%s): stderr has its own words; UCX_TLS must have tcp or an RDMA transport, and UCX_NET_DEVICES an interface of this machine"
                  .formatted(nixl.version(), e.getMessage()),
              e);
        }
      }
    }
  }

  private MemorySegment createBackend(Arena call, Map<String, String> parameters) {
    MemorySegment out = call.allocate(ADDRESS);
    NixlFailure.check("create_params", AgentFunctions.createParams(out));
    MemorySegment params = out.get(ADDRESS, 0);
    try {
      parameters.forEach((key, value) ->
          NixlFailure.check(
              "params_add",
              AgentFunctions.paramsAdd(params, call.allocateFrom(key), call.allocateFrom(value))));
      NixlFailure.check(
          "create_backend",
          AgentFunctions.createBackend(agent, call.allocateFrom("UCX"), params, out));
      return out.get(ADDRESS, 0);
    } finally {
      AgentFunctions.destroyParams(params);
    }
  }

  String name() {
    return name;
  }

  /** The pointer, for a downcall; none leaves after the end. */
  MemorySegment pointer() {
    if (closed) {
      throw new IllegalStateException("the NIXL agent " + name + " is closed");
    }
    return agent;
  }

  void adopt(RequestHandle request) {
    if (!request.isLive()) {
      throw new IllegalStateException("a released request cannot be adopted");
    }
    requests.incrementAndGet();
  }

  void disown() {
    requests.decrementAndGet();
  }

  void register(Region region) {
    try (RegistrationList list = new RegistrationList(region)) {
      NixlFailure.check(
          "register_mem", AgentFunctions.registerMem(pointer(), list.pointer(), viaBackend));
    }
  }

  void deregister(Region region) {
    try (RegistrationList list = new RegistrationList(region)) {
      NixlFailure.check(
          "deregister_mem", AgentFunctions.deregisterMem(pointer(), list.pointer(), viaBackend));
    }
  }

  /** How to reach this agent, and all its memory. */
  byte[] metadata() {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment out = call.allocate(ADDRESS);
      MemorySegment bytes = call.allocate(JAVA_LONG);
      NixlFailure.check("get_local_md", AgentFunctions.getLocalMd(pointer(), out, bytes));
      return takeBlob(out.get(ADDRESS, 0), bytes.get(JAVA_LONG, 0));
    }
  }

  /** How to reach this agent, without a right to any of its memory. */
  byte[] contact() {
    try (Arena call = Arena.ofConfined();
        RegistrationList none = new RegistrationList()) {
      MemorySegment out = call.allocate(ADDRESS);
      MemorySegment bytes = call.allocate(JAVA_LONG);
      NixlFailure.check(
          "get_local_partial_md",
          AgentFunctions.getLocalPartialMd(
              pointer(), none.pointer(), out, bytes, MemorySegment.NULL));
      return takeBlob(out.get(ADDRESS, 0), bytes.get(JAVA_LONG, 0));
    }
  }

  private static byte[] takeBlob(MemorySegment blob, long bytes) {
    try {
      if (bytes < 1 || bytes > MOST_METADATA_BYTES) {
        throw new IllegalStateException("NIXL's metadata has " + bytes + " bytes");
      }
      return blob.reinterpret(bytes).toArray(JAVA_BYTE);
    } finally {
      LibC.free(blob);
    }
  }

  /**
   * Loads a peer's metadata, which must have been authenticated: NIXL crashes on altered ones.
   *
   * @return what the peer calls itself in it
   */
  String load(byte[] metadata) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment out = call.allocate(ADDRESS);
      NixlFailure.check(
          "load_remote_md",
          AgentFunctions.loadRemoteMd(
              pointer(), call.allocateFrom(JAVA_BYTE, metadata), metadata.length, out));
      MemorySegment loaded = out.get(ADDRESS, 0);
      try {
        return string(loaded);
      } finally {
        LibC.free(loaded);
      }
    }
  }

  /** Forgets a peer and disconnects from it; what is under way with it fails. */
  int invalidate(MemorySegment peer) {
    return AgentFunctions.invalidateRemoteMd(pointer(), peer);
  }

  /** Sends a notification; 0 means that it has left. */
  int send(MemorySegment peer, byte[] payload) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment bytes =
          payload.length == 0 ? MemorySegment.NULL : call.allocateFrom(JAVA_BYTE, payload);
      return AgentFunctions.genNotif(pointer(), peer, bytes, payload.length, MemorySegment.NULL);
    }
  }

  /**
   * What has arrived since the last call, in each sender's order.
   *
   * @param mostBytes longer payloads are left out, as anybody may send them
   * @param tooLong called for each of those
   */
  List<RawNotification> receive(int mostBytes, Runnable tooLong) {
    MemorySegment pointer = pointer();
    try (Arena call = Arena.ofConfined()) {
      NixlFailure.check(
          "get_notifs", AgentFunctions.getNotifs(pointer, notifications, MemorySegment.NULL));
      MemorySegment number = call.allocate(JAVA_LONG);
      NixlFailure.check("notif_map_size", AgentFunctions.notifMapSize(notifications, number));
      long senders = number.get(JAVA_LONG, 0);
      if (senders == 0) {
        return List.of();
      }
      try {
        List<RawNotification> received = new ArrayList<>();
        MemorySegment out = call.allocate(ADDRESS);
        for (long i = 0; i < senders; i++) {
          NixlFailure.check(
              "notif_map_get_agent_at", AgentFunctions.notifMapGetAgentAt(notifications, i, out));
          takeFrom(out.get(ADDRESS, 0), call, mostBytes, tooLong, received);
        }
        return received;
      } finally {
        // What stays in the map would come again with the next call.
        NixlFailure.check("notif_map_clear", AgentFunctions.notifMapClear(notifications));
      }
    }
  }

  private void takeFrom(
      MemorySegment sender,
      Arena call,
      int mostBytes,
      Runnable tooLong,
      List<RawNotification> received) {
    MemorySegment number = call.allocate(JAVA_LONG);
    MemorySegment out = call.allocate(ADDRESS);
    String senderName = string(sender);
    // A name with a NUL in it is cut short on its way here and cannot be looked up.
    if (AgentFunctions.notifMapGetNotifsSize(notifications, sender, number) != 0) {
      return;
    }
    long count = number.get(JAVA_LONG, 0);
    for (long i = 0; i < count; i++) {
      NixlFailure.check(
          "notif_map_get_notif",
          AgentFunctions.notifMapGetNotif(notifications, sender, i, out, number));
      long bytes = number.get(JAVA_LONG, 0);
      if (bytes < 0 || bytes > mostBytes) {
        tooLong.run();
        continue;
      }
      byte[] payload =
          bytes == 0 ? new byte[0] : out.get(ADDRESS, 0).reinterpret(bytes).toArray(JAVA_BYTE);
      received.add(new RawNotification(senderName, payload));
    }
  }

  /** Names of the plugins that the library found. */
  List<String> plugins() {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment out = call.allocate(ADDRESS);
      MemorySegment number = call.allocate(JAVA_LONG);
      NixlFailure.check(
          "get_available_plugins", AgentFunctions.getAvailablePlugins(pointer(), out));
      MemorySegment list = out.get(ADDRESS, 0);
      try {
        NixlFailure.check("string_list_size", AgentFunctions.stringListSize(list, number));
        List<String> names = new ArrayList<>();
        for (long i = 0; i < number.get(JAVA_LONG, 0); i++) {
          NixlFailure.check("string_list_get", AgentFunctions.stringListGet(list, i, out));
          names.add(string(out.get(ADDRESS, 0)));
        }
        return List.copyOf(names);
      } finally {
        AgentFunctions.destroyStringList(list);
      }
    }
  }

  private static String string(MemorySegment pointer) {
    return pointer.reinterpret(Long.MAX_VALUE).getString(0, StandardCharsets.UTF_8);
  }

  /**
   * Ends the agent: its threads stop, and nothing reads or writes through it any more.
   *
   * @throws IllegalStateException if a request has not been released
   */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    int live = requests.get();
    if (live > 0) {
      throw new IllegalStateException(
          "the NIXL agent %s has %d requests that are not released".formatted(name, live));
    }
    closed = true;
    AgentFunctions.destroyNotifMap(notifications);
    AgentFunctions.destroyOptArgs(viaBackend);
    AgentFunctions.destroyBackend(backend);
    AgentFunctions.destroyAgent(agent);
  }

  /** A list of memory for one call. */
  private static final class RegistrationList implements AutoCloseable {
    private final MemorySegment list;

    RegistrationList(Region... regions) {
      try (Arena call = Arena.ofConfined()) {
        MemorySegment out = call.allocate(ADDRESS);
        NixlFailure.check(
            "create_reg_dlist", AgentFunctions.createRegDlist(MemoryKind.DRAM.code(), out));
        list = out.get(ADDRESS, 0);
      }
      for (Region region : regions) {
        NixlFailure.check(
            "reg_dlist_add_desc",
            AgentFunctions.regDlistAddDesc(
                list, region.address(), region.bytes(), 0, MemorySegment.NULL, 0));
      }
    }

    MemorySegment pointer() {
      return list;
    }

    @Override
    public void close() {
      AgentFunctions.destroyRegDlist(list);
    }
  }
}
