package dev.millrace.cli;

import dev.millrace.config.AgentAddress;
import dev.millrace.config.HostPort;
import dev.millrace.simulator.EngineRole;
import dev.millrace.simulator.SimulatedEngine;
import io.vertx.core.Vertx;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Engines in this process, which move blocks over TCP. */
final class EnginesHere implements DemoEngines {
  private final List<SimulatedEngine> prefill = new ArrayList<>();
  private final List<SimulatedEngine> decode = new ArrayList<>();

  /** Starts them. */
  EnginesHere(Vertx vertx, DemoSetup setup) {
    for (int i = 0; i < setup.prefillCount(); i++) {
      prefill.add(Demo.engine(vertx, EngineRole.PREFILL, setup.prefill(), Duration.ZERO));
    }
    for (int i = 0; i < setup.decodeCount(); i++) {
      decode.add(Demo.engine(vertx, EngineRole.DECODE, setup.decode(), setup.interToken()));
    }
  }

  @Override
  public List<DemoEngine> prefill() {
    return prefill.stream().map(EnginesHere::described).toList();
  }

  @Override
  public List<DemoEngine> decode() {
    return decode.stream().map(EnginesHere::described).toList();
  }

  private static DemoEngine described(SimulatedEngine engine) {
    return new DemoEngine(
        engine.uri(),
        new HostPort(engine.config().host(), engine.sideChannelPort()),
        engine.config().geometry());
  }

  /** For whoever wants to look into them. */
  List<SimulatedEngine> simulatedPrefill() {
    return List.copyOf(prefill);
  }

  List<SimulatedEngine> simulatedDecode() {
    return List.copyOf(decode);
  }

  @Override
  public Optional<AgentAddress> agent() {
    return Optional.empty();
  }

  @Override
  public void close() {
    prefill.forEach(engine -> Startup.closed(engine.close()));
    decode.forEach(engine -> Startup.closed(engine.close()));
  }
}
