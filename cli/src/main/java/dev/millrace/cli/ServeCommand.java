package dev.millrace.cli;

import dev.millrace.config.Admin;
import dev.millrace.config.HostPort;
import dev.millrace.config.Listen;
import dev.millrace.config.Loaded;
import dev.millrace.config.RoutingTable;
import dev.millrace.config.RoutingTables;
import dev.millrace.router.Reloaded;
import dev.millrace.router.Router;
import io.vertx.core.Vertx;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code millrace serve}: the router. */
@Command(
    name = "serve",
    description = "Runs the router in front of the workers of a routing table.")
final class ServeCommand implements Callable<Integer> {
  private final StopSignal stop;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = {"-c", "--config"},
      required = true,
      paramLabel = "FILE",
      description = "The routing table.")
  private Path file = Path.of("");

  ServeCommand(StopSignal stop) {
    this.stop = stop;
  }

  @Override
  public Integer call() {
    TableWatch watch = new TableWatch(file);
    watch.follow(RoutingTables.named(file));
    RoutingTable table = ConfigCommand.read(file);
    Listen listen = table.listen();
    Admin admin = table.admin();
    Vertx vertx = Router.vertx();
    try {
      String what =
          "the router (%s:%d, admin %s:%d)"
              .formatted(listen.host(), listen.port(), admin.host(), admin.port());
      Router router =
          Startup.started(
              what, Router.start(vertx, table, () -> readAnew(watch), System::nanoTime));
      PrintWriter out = spec.commandLine().getOut();
      out.println(
          "listening on " + listen.scheme() + "://" + new HostPort(listen.host(), router.port()));
      out.println("admin on http://" + new HostPort(admin.host(), router.adminPort()));
      router
          .poolsWithoutWorkers()
          .forEach(pool ->
              out.println("pool %s has no worker yet; what needs one is refused".formatted(pool)));
      out.flush();
      var _ =
          router
              .settled()
              .onSuccess(settled -> {
                settled.pairs().forEach(out::println);
                out.flush();
              });
      watch.begin(changed -> takeOver(router, changed, out));
      stop.allow(listen.shutdownGrace());
      stop.await();
      watch.end();
      out.printf(
          "stopping: no more requests; %d exchanges under way may take %d s%n",
          router.occupancy().exchanges(), listen.shutdownGrace().toSeconds());
      out.flush();
      Startup.closed(router.shutDown(listen.shutdownGrace()), listen.shutdownGrace());
      return ExitCode.DONE;
    } finally {
      Startup.closed(vertx.close());
    }
  }

  /** Reads the table, once every file that it names now is followed. */
  private Loaded readAnew(TableWatch watch) {
    watch.follow(RoutingTables.named(file));
    return RoutingTables.read(file);
  }

  /** Says what becomes of files that have changed. */
  private static void takeOver(Router router, List<Path> changed, PrintWriter out) {
    String files =
        String.join(", ", changed.stream().map(Path::toString).toList())
            + (changed.size() == 1 ? " has changed" : " have changed");
    var _ =
        router
            .reload()
            .onSuccess(reloaded -> {
              switch (reloaded) {
                case Reloaded.Done(List<String> pairs) -> {
                  out.println(files + "; what the table says now is in force");
                  pairs.forEach(out::println);
                }
                case Reloaded.Unchanged() -> out.println(files + ", but the table says the same");
                case Reloaded.Refused(List<String> why) -> {
                  out.println(files + "; the table in force stays, because of");
                  why.forEach(out::println);
                }
              }
              out.flush();
            });
  }
}
