package dev.millrace.config;

import dev.millrace.config.AgentConfig.Serving;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Reads an agent's {@code side-channel}: where it listens for decode engines, and for which. It is
 * closed unless it is written down, and there is no default for who may ask: neither vLLM's side
 * channel nor NIXL knows authentication.
 */
final class ServingReader {
  private static final String DEFAULT_HOST = "127.0.0.1";
  private static final int DEFAULT_FIRST_PORT = 7410;
  private static final int DEFAULT_LAST_PORT = 7473;

  private record Ports(int first, int last) {}

  private record Listening(String host, Ports ports) {}

  private ServingReader() {}

  static Optional<Serving> read(Section section, long engineBytes) {
    Listening listening =
        section
            .find("listen")
            .flatMap(Field::section)
            .map(ServingReader::listening)
            .orElse(new Listening(DEFAULT_HOST, new Ports(DEFAULT_FIRST_PORT, DEFAULT_LAST_PORT)));
    String advertised = section.find("advertise").flatMap(Field::host).orElse(listening.host());
    if (advertised.equals("0.0.0.0") || advertised.equals("::")) {
      section
          .find("listen")
          .ifPresent(field ->
              field.complain(
                  "decode engines cannot connect to %s: say in side-channel.advertise where they reach this machine"
                      .formatted(advertised)));
    }
    List<AddressRange> readers = new ArrayList<>();
    section
        .require("readers", "a list of the decode engines' addresses, such as 10.0.0.0/8")
        .flatMap(Field::items)
        .orElse(List.of())
        .forEach(item -> range(item).ifPresent(readers::add));
    section.refuseOtherKeys();
    return readers.isEmpty()
        ? Optional.empty()
        : Optional.of(
            new Serving(
                listening.host(),
                advertised,
                listening.ports().first(),
                listening.ports().last(),
                readers,
                engineBytes));
  }

  private static Listening listening(Section listen) {
    String host = listen.find("host").flatMap(Field::host).orElse(DEFAULT_HOST);
    Ports ports =
        listen
            .find("ports")
            .flatMap(ServingReader::ports)
            .orElse(new Ports(DEFAULT_FIRST_PORT, DEFAULT_LAST_PORT));
    listen.refuseOtherKeys();
    return new Listening(host, ports);
  }

  private static Optional<Ports> ports(Field field) {
    return field.text().flatMap(text -> portsOf(field, text));
  }

  private static Optional<Ports> portsOf(Field field, String text) {
    String[] ends = text.split("-", -1);
    try {
      int first = Integer.parseInt(ends[0].strip());
      int last = ends.length == 1 ? first : Integer.parseInt(ends[1].strip());
      if (ends.length <= 2 && first >= 0 && first <= last && last <= 65535) {
        return Optional.of(new Ports(first, last));
      }
    } catch (NumberFormatException e) {
      return field.refuse(wrongPorts(text));
    }
    return field.refuse(wrongPorts(text));
  }

  private static String wrongPorts(String text) {
    return "\"%s\" is no port and no range of ports, such as 7410-7473".formatted(text);
  }

  private static Optional<AddressRange> range(Field item) {
    return item.text()
        .flatMap(text -> {
          try {
            return Optional.of(AddressRange.parse(text));
          } catch (IllegalArgumentException e) {
            return item.refuse(String.valueOf(e.getMessage()));
          }
        });
  }
}
