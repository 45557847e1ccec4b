package dev.millrace.config;

import static dev.millrace.config.Absence.otherwise;

import dev.millrace.config.Value.Choice;
import dev.millrace.config.Value.Flag;
import dev.millrace.config.Value.Foreign;
import dev.millrace.config.Value.Form;
import dev.millrace.config.Value.Group;
import dev.millrace.config.Value.ListOf;
import dev.millrace.config.Value.Whole;
import dev.millrace.config.Value.Word;
import dev.millrace.layout.compatibility.Architecture;
import dev.millrace.layout.compatibility.KvScales;
import dev.millrace.layout.compatibility.TransferMode;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** The keys that declare what engines are, of a pool or of one of its workers. */
final class DeclaredKeys {
  private static final Absence NONE = otherwise("none");

  /** A version is a number to YAML if it has one point only: {@code 0.32}. */
  private static final Word VERSION = new Word("version", DeclaredReader.VERSION);

  private static final String IDENTITY =
      "what the model is, whatever the engine's command line calls it: engines with unequal strings"
          + " are one model if these are equal";

  static final List<Key> DECLARED =
      List.of(
          new Key("vllm-version", VERSION, NONE, "such as `0.32.0`"),
          new Key(
              "connector-version",
              new Whole(1, DeclaredReader.MOST_CONNECTOR_VERSION),
              NONE,
              "`NIXL_CONNECTOR_VERSION`, such as `14`"),
          new Key("nixl-version", VERSION, NONE, "such as `1.5.1`"),
          new Key(
              "interchangeable-versions",
              new ListOf(VERSION),
              NONE,
              "vLLM versions that you know to keep blocks alike, such as `[0.31.0, 0.32.0]`"),
          new Key(
              "geometry", Word.TEXT, NONE, "`tp=2,pp=1,dcp=1,block=16,layout=hnd`, any of them"),
          new Key("model-config", Group.of(model()), NONE, "what the model is, and its cache"),
          new Key("attention-backend", Word.TEXT, NONE, "as vLLM names it"),
          new Key("cache-dtype", Word.TEXT, NONE, "vLLM's `--kv-cache-dtype`"),
          new Key(
              "kv-scales",
              named(KvScales.values()),
              NONE,
              "where the scales of a quantised cache are: `none`; `static`, in the checkpoint;"
                  + " `dynamic`, outside the blocks; `inline`, inside them"),
          new Key(
              "kernel-block-size",
              new Whole(1, DeclaredReader.MOST_BLOCK_TOKENS),
              NONE,
              "tokens of a block as the attention kernel sees it"),
          new Key(
              "prefix-caching",
              new Flag(),
              NONE,
              "whether blocks of prompts that begin alike are kept"),
          new Key(
              "hybrid-kv-cache-manager",
              new Flag(),
              NONE,
              "whether layers of several kinds have block tables of their own"),
          new Key("cross-layer-blocks", new Flag(), NONE, "whether a block holds all layers"),
          new Key("conv-state-layout", Word.TEXT, NONE, "`VLLM_SSM_CONV_STATE_LAYOUT`"),
          new Key(
              "speculation",
              Word.TEXT,
              NONE,
              "method of speculative decoding as vLLM names it, or `none`"),
          new Key(
              "kv-transfer-config",
              new Foreign(),
              NONE,
              "as vLLM takes it; children of a MultiConnector are looked into"),
          new Key(
              "transfer-mode",
              named(TransferMode.values()),
              NONE,
              "`pull`: the decode engine reads; `push`: the prefill engine writes"),
          new Key("host-buffer", new Flag(), NONE, "whether blocks go through host memory"),
          new Key("engine-id", Word.TEXT, NONE, "a fixed id"),
          new Key(
              "lease",
              Form.TIME,
              NONE,
              "how long unread blocks are kept, if not as by vLLM's default"));

  private DeclaredKeys() {}

  private static List<Key> model() {
    List<Key> keys = new ArrayList<>(ModelKeys.shape(otherwise("required if a shape is given")));
    keys.add(
        new Key(
            "hidden-layers",
            new Whole(1, DeclaredModel.MOST_LAYERS),
            NONE,
            "hidden layers of the model"));
    keys.add(
        new Key(
            "torch-dtype",
            Word.TEXT,
            otherwise("the cache's"),
            "type of the model, such as `bfloat16`"));
    keys.add(new Key("architecture", named(Architecture.values()), NONE, "the class of the model"));
    keys.add(new Key("name", Word.TEXT, NONE, IDENTITY));
    keys.add(new Key("revision", Word.TEXT, NONE, "likewise, of its weights"));
    keys.add(new Key("rope", Word.TEXT, NONE, "likewise, of its rotary embedding"));
    return keys;
  }

  private static Choice named(Enum<?>[] values) {
    return Choice.of(Arrays.stream(values).map(DeclaredReader::keyword).toList());
  }
}
