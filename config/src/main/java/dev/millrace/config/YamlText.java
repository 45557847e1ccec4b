package dev.millrace.config;

import java.util.Optional;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.api.lowlevel.Compose;
import org.snakeyaml.engine.v2.api.lowlevel.Parse;
import org.snakeyaml.engine.v2.events.Event;
import org.snakeyaml.engine.v2.exceptions.MarkedYamlEngineException;
import org.snakeyaml.engine.v2.exceptions.ReaderException;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;
import org.snakeyaml.engine.v2.nodes.Node;
import org.snakeyaml.engine.v2.resolver.CoreScalarResolver;
import org.snakeyaml.engine.v2.resolver.ScalarResolver;
import org.snakeyaml.engine.v2.schema.CoreSchema;

/**
 * From text to a tree of nodes that know their positions; nothing is constructed from tags.
 *
 * <p>Before a tree is built, the parser's events are counted: composing is recursive, so that a few
 * kilobytes of {@code [} would overflow the stack, and aliases let a short file stand for a huge
 * tree. The limits are far above any real table.
 */
final class YamlText {
  static final int MOST_CHARACTERS = 1 << 20;
  private static final int DEEPEST_NESTING = 32;
  private static final int MOST_ALIASES = 100;

  private final String text;
  private final Complaints complaints;

  /** Where the last event began. */
  private Place reached = Place.START;

  private YamlText(String text, Complaints complaints) {
    this.text = text;
    this.complaints = complaints;
  }

  /** The core schema as YAML 1.2 has it: without the merge keys of 1.1. */
  private static final class Yaml12Schema extends CoreSchema {
    private final ScalarResolver resolver = new CoreScalarResolver(false);

    @Override
    public ScalarResolver getScalarResolver() {
      return resolver;
    }
  }

  /** The root of the only document; empty with a complaint if the text is not YAML or too big. */
  static Optional<Node> compose(String text, Complaints complaints) {
    if (text.length() > MOST_CHARACTERS) {
      complaints.add(Place.START, "", "is larger than 1 MiB, which no configuration is");
      return Optional.empty();
    }
    String body = text.startsWith("\uFEFF") ? text.substring(1) : text;
    return new YamlText(body, complaints).compose();
  }

  private Optional<Node> compose() {
    LoadSettings settings =
        LoadSettings.builder()
            .setSchema(new Yaml12Schema())
            .setCodePointLimit(MOST_CHARACTERS)
            .setUseMarks(true)
            .setAllowNonScalarKeys(true) // they get a complaint of ours, with its place
            .build();
    try {
      if (!isWithinLimits(settings)) {
        return Optional.empty();
      }
      Optional<Node> root = new Compose(settings).composeString(text);
      if (root.isEmpty()) {
        complaints.add(Place.START, "", "is empty; there is nothing to read");
      }
      return root;
    } catch (MarkedYamlEngineException e) {
      Place place = e.getProblemMark().or(e::getContextMark).map(Place::of).orElse(reached);
      complaints.add(place, "", "is not YAML: " + problemOf(e));
    } catch (ReaderException e) {
      int position = Math.clamp(e.getPosition(), 0, text.codePointCount(0, text.length()));
      Place place = Place.after(text, text.offsetByCodePoints(0, position));
      complaints.add(
          place,
          "",
          "is not YAML: character U+%04X is not allowed; remove it".formatted(e.getCodePoint()));
    } catch (YamlEngineException e) {
      complaints.add(reached, "", "is not YAML: " + e.getMessage());
    } catch (NumberFormatException | IndexOutOfBoundsException e) {
      // Escapes that are cut short, "\x at the end, trip snakeyaml-engine 3.2 itself.
      complaints.add(reached, "", "is not YAML somewhere after this place; a broken \\ escape?");
    }
    return Optional.empty();
  }

  private boolean isWithinLimits(LoadSettings settings) {
    int depth = 0;
    int aliases = 0;
    for (Event event : new Parse(settings).parseString(text)) {
      switch (event.getEventId()) {
        case MappingStart, SequenceStart -> depth++;
        case MappingEnd, SequenceEnd -> depth--;
        case Alias -> aliases++;
        case Comment, DocumentEnd, DocumentStart, Scalar, StreamEnd, StreamStart -> {}
      }
      reached = event.getStartMark().map(Place::of).orElse(reached);
      if (depth > DEEPEST_NESTING) {
        complaints.add(
            reached,
            "",
            "is nested deeper than %d levels, which no configuration is"
                .formatted(DEEPEST_NESTING));
        return false;
      }
      if (aliases > MOST_ALIASES) {
        complaints.add(
            reached,
            "",
            "uses more than %d aliases; write out what they stand for".formatted(MOST_ALIASES));
        return false;
      }
    }
    return true;
  }

  private static String problemOf(MarkedYamlEngineException e) {
    String context = e.getContext();
    String problem = e.getProblem();
    String both =
        (context == null || context.isBlank() ? "" : context + ": ")
            + (problem == null ? "" : problem);
    return both.replaceAll("\\s+", " ").strip();
  }
}
