package dev.millrace.cli;

import dev.millrace.layout.compatibility.Architecture;
import dev.millrace.layout.compatibility.ConnectorRelease;
import dev.millrace.layout.compatibility.matrix.Capability;
import dev.millrace.layout.compatibility.matrix.Cell;
import dev.millrace.layout.compatibility.matrix.Guide;
import dev.millrace.layout.compatibility.matrix.Mark;
import dev.millrace.layout.compatibility.matrix.Matrix;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.util.List;
import java.util.TreeSet;

/** A {@link Matrix} as JSON. */
final class MatrixJson {
  private MatrixJson() {}

  static JsonObject of(Matrix matrix) {
    JsonArray architectures = new JsonArray();
    for (Architecture architecture : Architecture.values()) {
      JsonObject cells = new JsonObject();
      for (Capability capability : Capability.values()) {
        cells.put(capability.toString(), json(matrix.cell(architecture, capability)));
      }
      architectures.add(
          new JsonObject().put("architecture", Matrix.title(architecture)).put("cells", cells));
    }
    JsonObject notes = new JsonObject();
    matrix.notes().forEach((number, text) -> notes.put(number.toString(), text));
    JsonObject legend = new JsonObject();
    for (Mark mark : Mark.values()) {
      legend.put(mark.toString(), mark.meaning());
    }
    JsonObject json =
        new JsonObject()
            .put("connector_version", matrix.connectorVersion())
            .put("vllm_releases", array(releases(matrix)))
            .put("architectures", architectures)
            .put("notes", notes)
            .put("legend", legend);
    for (Guide guide : Guide.values()) {
      json.put(guide.toString().replace('-', '_'), array(guide.lines(matrix.connectorVersion())));
    }
    return json;
  }

  private static List<String> releases(Matrix matrix) {
    return new ConnectorRelease(matrix.connectorVersion()).vllmReleases();
  }

  private static JsonObject json(Cell cell) {
    return new JsonObject()
        .put("mark", cell.mark().toString())
        .put("notes", new JsonArray(cell.notes()))
        .put("agents", array(new TreeSet<>(cell.agents()).stream().map(Object::toString).toList()));
  }

  private static JsonArray array(List<String> lines) {
    return new JsonArray(lines);
  }
}
