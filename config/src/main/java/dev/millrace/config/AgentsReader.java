package dev.millrace.config;

import static dev.millrace.config.Complaints.quote;

import java.net.URI;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The KV agents of a routing table. */
final class AgentsReader {
  private final Path file;
  private final List<AgentAddress> agents = new ArrayList<>();
  private final Map<URI, Field> urls = new HashMap<>();
  private boolean listed;

  AgentsReader(Path file) {
    this.file = file;
  }

  void read(Section top) {
    Optional<Field> list = top.find("agents");
    listed = list.isPresent();
    list.flatMap(Field::items)
        .orElse(List.of())
        .forEach(item -> agent(item).ifPresent(agents::add));
  }

  /** Whether the table has a list of agents, readable or not. */
  boolean listed() {
    return listed;
  }

  /** The agents that could be read whole, in the order of the file. */
  List<AgentAddress> complete() {
    return List.copyOf(agents);
  }

  private Optional<AgentAddress> agent(Field item) {
    Optional<Section> section = item.section();
    if (section.isEmpty()) {
      return Optional.empty();
    }
    Section agent = section.get();
    Optional<Field> urlField = agent.require("url", "such as http://127.0.0.1:7400");
    Optional<URI> url = urlField.flatMap(Field::workerUrl);
    Optional<Path> token =
        agent
            .require("token-file", "the file with the token that the agent asks for")
            .flatMap(field -> field.path(file));
    agent.refuseOtherKeys();
    if (url.isEmpty() || token.isEmpty()) {
      return Optional.empty();
    }
    AgentAddress read = new AgentAddress(url.get(), token.get());
    Field first = urls.putIfAbsent(read.url(), urlField.get());
    if (first != null) {
      urlField
          .get()
          .complain(
              "%s is listed already, as %s on line %d; remove one of them"
                  .formatted(
                      quote(read.url().toString()), first.path(), Place.of(first.node()).line()));
      return Optional.empty();
    }
    return Optional.of(read);
  }
}
