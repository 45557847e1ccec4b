package dev.millrace.router.pools;

import dev.millrace.config.Declared;
import dev.millrace.config.EngineKind;
import dev.millrace.config.HostPort;
import dev.millrace.config.Pool;
import dev.millrace.config.Role;
import dev.millrace.config.WorkerAddress;
import dev.millrace.router.http.Api;
import dev.millrace.router.http.ClientRequest;
import dev.millrace.router.http.ClientRequest.Course;
import dev.millrace.router.http.KeptResponse;
import dev.millrace.router.http.MetricsText;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.RequestOptions;
import io.vertx.core.net.SocketAddress;
import java.util.EnumMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;
import org.jspecify.annotations.Nullable;

/**
 * One engine of a pool, with what is open on it. Shared by all event loops.
 *
 * <p>Of several data-parallel ranks behind one address each is a worker: it has its own cache, its
 * own id in hand-offs and its own side channel (vLLM 0.32.0, {@code NixlConnector}). Requests to it
 * name its rank in {@code X-data-parallel-rank}.
 */
public final class Worker {
  /** Selects an engine behind an address (vLLM 0.32.0, {@code OpenAIServing}). */
  private static final String RANK_HEADER = "X-data-parallel-rank";

  private final Pool pool;
  private final Declared declared;
  private final WorkerAddress address;
  private final int rank;
  private final String url;
  private final Lease lease;
  private final Breaker breaker;
  private final KvRoom kvRoom;

  private final AtomicInteger openLegs = new AtomicInteger();
  private final AtomicInteger reserved = new AtomicInteger();
  private final AtomicLong load = new AtomicLong();
  private final AtomicInteger held = new AtomicInteger();
  private final AtomicLong refusedAtNanos = new AtomicLong(Long.MIN_VALUE);
  private final LongAdder legs = new LongAdder();
  private final LongAdder failedLegs = new LongAdder();
  private final TransferEvidence evidence = new TransferEvidence();
  private volatile boolean draining;
  private volatile Shown shown = Shown.NOTHING;
  private volatile Map<Api, RequestOptions> byApi;

  /** A worker by itself, which is never out of use: one of the ranks behind an address. */
  public Worker(Pool pool, WorkerAddress address, int rank) {
    this(pool, address, rank, new Breakers(pool.health(), new Random()));
  }

  /** A worker of a pool: one of the data-parallel ranks behind an address, from 0 on. */
  Worker(Pool pool, WorkerAddress address, int rank, Breakers breakers) {
    this.breaker = new Breaker(this, breakers);
    this.kvRoom = new KvRoom(pool.kvPercent());
    this.pool = pool;
    this.declared = pool.declaredOf(address);
    this.lease = Lease.of(declared);
    this.address = address;
    this.rank = rank;
    this.url = address.url() + (address.dataParallel() == 1 ? "" : "#dp" + rank);
    this.byApi = byApi(Shown.NOTHING);
  }

  /** From now on it is shown this. */
  public void show(Shown other) {
    if (!other.equals(shown)) {
      shown = other;
      byApi = byApi(other);
    }
  }

  private Map<Api, RequestOptions> byApi(Shown toBeShown) {
    Map<Api, RequestOptions> options = new EnumMap<>(Api.class);
    for (Api api : Api.values()) {
      options.put(api, options(HttpMethod.POST, api.path(), toBeShown));
    }
    return options;
  }

  /**
   * Value of the header that is shown to it instead of what clients show; null: what these show.
   */
  public @Nullable String authorization() {
    return shown.authorization().orElse(null);
  }

  /** Whether two tables name the same worker by these, with all that they say of it. */
  boolean isSameAs(Worker other) {
    return pool.name().equals(other.pool.name())
        && pool.role() == other.pool.role()
        && pool.model().equals(other.pool.model())
        && pool.engine() == other.pool.engine()
        && declared.equals(other.declared)
        && address.isSameAs(other.address)
        && rank == other.rank;
  }

  /** Name of its pool. */
  public String pool() {
    return pool.name();
  }

  /** The stage it runs. */
  public Role role() {
    return pool.role();
  }

  /** The model that it serves. */
  public String model() {
    return pool.model();
  }

  /** What it runs. */
  public EngineKind engine() {
    return pool.engine();
  }

  /** What the operator says of it. */
  public Declared declared() {
    return declared;
  }

  /** The host at which it answers, without the brackets of an IPv6 address. */
  public String host() {
    return bare(address.url().getHost());
  }

  /** Where the table says that its connector answers handshakes. */
  public Optional<HostPort> sideChannel() {
    return address.sideChannel(rank);
  }

  /** One of the labels that the table gives it. */
  public Optional<String> label(String name) {
    return Optional.ofNullable(address.labels().get(name));
  }

  /** Number of engines behind its address. */
  public int dataParallel() {
    return address.dataParallel();
  }

  /** Its number among them. */
  public int rank() {
    return rank;
  }

  /** Whether it is meant by a name: its own, or the address that it shares with other ranks. */
  public boolean isNamed(String name) {
    return url.equals(name) || address.url().toString().equals(name);
  }

  /**
   * Where it answers, which is also its name. One of several data-parallel ranks behind an address
   * has {@code #dp} and its number after it.
   */
  public String url() {
    return url;
  }

  /** Where a leg goes. Shared, so it must not be changed. */
  public RequestOptions options(Api api) {
    return Objects.requireNonNull(byApi.get(api));
  }

  /** Where a leg for a request goes. It must not be changed. */
  public RequestOptions options(ClientRequest request) {
    return request.course() instanceof Course.AtKeeper(KeptResponse asked)
        ? options(asked.method(), asked.uri())
        : options(request.api());
  }

  /** A request for another path of this worker. */
  public RequestOptions options(HttpMethod method, String path) {
    return options(method, path, shown);
  }

  private RequestOptions options(HttpMethod method, String path, Shown toBeShown) {
    String host = host();
    RequestOptions options =
        new RequestOptions()
            .setMethod(method)
            .setServer(SocketAddress.inetSocketAddress(address.port(), host))
            .setHost(host)
            .setPort(address.port())
            .setSsl("https".equals(address.url().getScheme()))
            .setURI(path);
    toBeShown.tls().ifPresent(options::setSslOptions);
    toBeShown
        .authorization()
        .ifPresent(value -> options.putHeader(HttpHeaders.AUTHORIZATION, value));
    return address.dataParallel() == 1
        ? options
        : options.putHeader(RANK_HEADER, String.valueOf(rank));
  }

  /** URIs keep the brackets of an IPv6 address, sockets want it without. */
  private static String bare(String host) {
    return host.startsWith("[") ? host.substring(1, host.length() - 1) : host;
  }

  /** Its own of the metrics that its address shows for all ranks. */
  public MetricsText ownIn(MetricsText page) {
    return address.dataParallel() == 1 ? page : page.where("engine", String.valueOf(rank));
  }

  /** Whether it is given exchanges, by what becomes of them. */
  public Breaker breaker() {
    return breaker;
  }

  /** What of its KV cache is spoken for, if it decodes. */
  public KvRoom kvRoom() {
    return kvRoom;
  }

  /** Counts a leg that begins. */
  public void legOpened() {
    openLegs.incrementAndGet();
    legs.increment();
  }

  /** Counts a leg that has ended. */
  public void legClosed() {
    openLegs.decrementAndGet();
  }

  /** Counts a leg that failed. */
  public void legFailed() {
    failedLegs.increment();
  }

  /** Notes that it does not accept connections. */
  public void refusedAt(long nowNanos) {
    refusedAtNanos.set(nowNanos);
  }

  /** Whether it has refused a connection since a moment. */
  public boolean refusedSince(long thenNanos) {
    long at = refusedAtNanos.get();
    return at != Long.MIN_VALUE && at - thenNanos >= 0;
  }

  /** Holds a place for an exchange with a prompt of that many bytes. */
  public void reserve(long promptBytes) {
    reserved.incrementAndGet();
    load.addAndGet(loadOf(promptBytes));
  }

  /** Gives the place back. */
  public void unreserve(long promptBytes) {
    reserved.decrementAndGet();
    load.addAndGet(-loadOf(promptBytes));
  }

  /**
   * What the policies balance: on a prefill worker the bytes of the prompts that are under way, for
   * one may take as long as a hundred others; elsewhere the exchanges that hold a place, for each
   * is one more sequence in every step.
   */
  public long load() {
    return load.get();
  }

  /** What an exchange with a prompt of that many bytes adds to the load. */
  public long loadOf(long promptBytes) {
    return role() == Role.PREFILL ? promptBytes : 1;
  }

  /** Legs that are open now. */
  public int openLegs() {
    return openLegs.get();
  }

  /** How long it keeps blocks that nobody reads. */
  public Lease lease() {
    return lease;
  }

  /**
   * Whether blocks may be fetched from a side channel in its name. Where the table lists none, what
   * the engine says itself has to do.
   */
  public boolean ownsSideChannel(String host, int port) {
    return sideChannel()
        .map(listed -> listed.host().equals(host) && listed.port() == port)
        .orElse(true);
  }

  /**
   * Takes it out of use, or back in. One that is being drained gets nothing new; what it has goes
   * on to its end.
   */
  public void drain(boolean out) {
    draining = out;
  }

  /** Whether it gets nothing new. */
  public boolean isDraining() {
    return draining;
  }

  /** Whether it was taken out of use and has nothing left: no leg, no place, no held block. */
  public boolean isDrained() {
    return draining && openLegs.get() == 0 && reserved.get() == 0 && held.get() == 0;
  }

  /** Counts hand-offs that it begins or, below zero, ceases to hold. */
  public void holds(int more) {
    held.addAndGet(more);
  }

  /** Hand-offs whose blocks it holds for us. */
  public int held() {
    return held.get();
  }

  /** Exchanges that hold a place here. */
  public int reserved() {
    return reserved.get();
  }

  /** Legs since the start. */
  public long totalLegs() {
    return legs.sum();
  }

  /** Failed legs since the start. */
  public long totalFailedLegs() {
    return failedLegs.sum();
  }

  /** What it reports about the blocks it has read, if it is a decode worker. */
  public TransferEvidence evidence() {
    return evidence;
  }

  @Override
  public String toString() {
    return pool.name() + " " + url;
  }
}
