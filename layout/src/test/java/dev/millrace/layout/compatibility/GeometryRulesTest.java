package dev.millrace.layout.compatibility;

import static dev.millrace.layout.compatibility.TestEngines.WHERE;
import static dev.millrace.layout.compatibility.TestEngines.dense;
import static dev.millrace.layout.compatibility.TestEngines.hybrid;
import static dev.millrace.layout.compatibility.TestEngines.latent;
import static dev.millrace.layout.compatibility.Verdicts.engine;
import static dev.millrace.layout.compatibility.Verdicts.missing;
import static dev.millrace.layout.compatibility.Verdicts.noted;
import static dev.millrace.layout.compatibility.Verdicts.reason;
import static dev.millrace.layout.compatibility.Verdicts.refusing;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.layout.CacheGroup;
import dev.millrace.layout.ElementType;
import dev.millrace.layout.Layout;
import dev.millrace.layout.ModelShape;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What the decode engine's connector checks of both geometries, and what it should. */
class GeometryRulesTest {
  private static final Function<String, EngineProfile.Builder> DENSE = TestEngines::dense;
  private static final Function<String, EngineProfile.Builder> LATENT = TestEngines::latent;
  private static final Function<String, EngineProfile.Builder> HYBRID = TestEngines::hybrid;

  private static <T> Verdict judge(
      Function<String, EngineProfile.Builder> model,
      String vllm,
      Fact<T> fact,
      T prefill,
      T decode) {
    return engine(
        model.apply("P").declare(Fact.VLLM_VERSION, vllm, WHERE).declare(fact, prefill, WHERE),
        model.apply("D").declare(Fact.VLLM_VERSION, vllm, WHERE).declare(fact, decode, WHERE));
  }

  @Nested
  class TensorParallelism {
    private static Verdict judge(
        Function<String, EngineProfile.Builder> model, String vllm, int prefill, int decode) {
      return GeometryRulesTest.judge(model, vllm, Fact.TENSOR_PARALLEL, prefill, decode);
    }

    @ParameterizedTest
    @CsvSource({"1, 1", "1, 8", "8, 1", "2, 4", "4, 2", "8, 16", "16, 16", "4, 16"})
    void sizesThatDivide_fit(int prefill, int decode) {
      assertThat(judge(DENSE, "0.32.0", prefill, decode)).isEqualTo(new Verdict.Fits());
    }

    @ParameterizedTest
    @CsvSource({"3, 2", "2, 3", "4, 6"})
    void sizesThatDoNotDivide_areRefused(int prefill, int decode) {
      assertThat(refusing(judge(DENSE, "0.32.0", prefill, decode)))
          .containsExactly(Rule.TENSOR_PARALLEL);
    }

    @Test
    void moreRanksThanHeadsOnPrefill_cannotBeGathered() {
      Verdict verdict = judge(DENSE, "0.32.0", 16, 8);

      assertThat(refusing(verdict)).containsExactly(Rule.REPLICATED_HEADS);
      assertThat(reason(verdict, Rule.REPLICATED_HEADS).prefill())
          .isEqualTo("16 ranks for 8 KV heads");
      assertThat(judge(DENSE, "0.32.0", 8, 4).fits()).isTrue();
      assertThat(judge(DENSE, "0.32.0", 16, 16).fits()).isTrue();
    }

    @Test
    void moreRanksThanHeadsOnDecode_needANewRelease() {
      assertThat(refusing(judge(DENSE, "0.24.0", 8, 16)))
          .containsExactly(Rule.MORE_RANKS_THAN_HEADS);
      assertThat(judge(DENSE, "0.27.0", 8, 16).fits()).isTrue();
      assertThat(judge(DENSE, "0.24.0", 4, 8).fits()).isTrue();
      assertThat(judge(DENSE, "0.24.0", 16, 16).fits()).isTrue();
    }

    @ParameterizedTest
    @CsvSource({"8, 1", "1, 8", "16, 2"})
    void latents_areNeverSplit(int prefill, int decode) {
      assertThat(judge(LATENT, "0.24.0", prefill, decode)).isEqualTo(new Verdict.Fits());
    }

    @ParameterizedTest
    @CsvSource({"2, 1", "1, 2", "4, 2"})
    void hybrids_needANewRelease(int prefill, int decode) {
      assertThat(refusing(judge(HYBRID, "0.19.1", prefill, decode)))
          .containsExactly(Rule.HYBRID_TENSOR_PARALLEL);
      assertThat(noted(judge(HYBRID, "0.21.0", prefill, decode)))
          .containsExactly(Rule.HYBRID_TENSOR_PARALLEL);
    }

    @Test
    void hybridsOfEqualSize_fit() {
      assertThat(judge(HYBRID, "0.19.1", 2, 2)).isEqualTo(new Verdict.Fits());
    }

    @Test
    void unknownHeads_areNeededOnlyIfSizesDiffer() {
      assertThat(missing(engine(hashed("P", 2), hashed("D", 1))))
          .containsExactly("prefill: kv-heads", "decode: kv-heads");
      assertThat(engine(hashed("P", 2), hashed("D", 2)).fits()).isTrue();
    }

    private static EngineProfile.Builder hashed(String name, int ranks) {
      return EngineProfile.named(name)
          .probe(Fact.VLLM_VERSION, "0.32.0", "GET /version")
          .probe(Fact.HASH, "aa", "handshake")
          .probe(Fact.TENSOR_PARALLEL, ranks, "tp_size")
          .probe(Fact.KERNEL_BLOCK_SIZE, 16, "handshake")
          .probe(Fact.LAYOUT, Layout.HND, "handshake");
    }
  }

  @Nested
  class Stages {
    private static Verdict judge(String vllm, TransferMode mode, int prefill, int decode) {
      return engine(
          dense("P")
              .declare(Fact.VLLM_VERSION, vllm, WHERE)
              .declare(Fact.TRANSFER_MODE, mode, WHERE)
              .declare(Fact.PIPELINE_PARALLEL, prefill, WHERE),
          dense("D")
              .declare(Fact.VLLM_VERSION, vllm, WHERE)
              .declare(Fact.TRANSFER_MODE, mode, WHERE)
              .declare(Fact.PIPELINE_PARALLEL, decode, WHERE));
    }

    @Test
    void stages_areForPushingPrefillEngines() {
      assertThat(judge("0.32.0", TransferMode.PUSH, 2, 1).fits()).isTrue();
      assertThat(judge("0.27.0", TransferMode.PUSH, 2, 1).fits()).isTrue();
      assertThat(refusing(judge("0.24.0", TransferMode.PUSH, 2, 1)))
          .containsExactly(Rule.PIPELINE_PARALLEL);
      assertThat(refusing(judge("0.32.0", TransferMode.PUSH, 1, 2)))
          .containsExactly(Rule.PIPELINE_PARALLEL);
      assertThat(refusing(judge("0.32.0", TransferMode.PULL, 2, 1)))
          .containsExactly(Rule.PIPELINE_PARALLEL);
      assertThat(refusing(judge("0.32.0", TransferMode.PULL, 1, 2)))
          .containsExactly(Rule.PIPELINE_PARALLEL);
    }
  }

  @Nested
  class Contexts {
    private static Verdict judge(
        Function<String, EngineProfile.Builder> model, String vllm, int prefill, int decode) {
      return GeometryRulesTest.judge(model, vllm, Fact.DECODE_CONTEXT_PARALLEL, prefill, decode);
    }

    @Test
    void decodeContexts_areForLatentsOfNewReleases() {
      assertThat(judge(LATENT, "0.32.0", 2, 4).fits()).isTrue();
      assertThat(judge(LATENT, "0.32.0", 4, 2).fits()).isTrue();
      assertThat(judge(LATENT, "0.29.0", 2, 2).fits()).isTrue();
      assertThat(refusing(judge(LATENT, "0.28.0", 2, 2))).containsExactly(Rule.CONTEXT_PARALLEL);
      assertThat(refusing(judge(LATENT, "0.32.0", 2, 3))).containsExactly(Rule.CONTEXT_PARALLEL);
      assertThat(refusing(judge(DENSE, "0.32.0", 2, 2))).containsExactly(Rule.CONTEXT_PARALLEL);
      assertThat(refusing(judge(DENSE, "0.32.0", 2, 1))).containsExactly(Rule.CONTEXT_PARALLEL);
      assertThat(refusing(judge(DENSE, "0.32.0", 1, 2))).containsExactly(Rule.CONTEXT_PARALLEL);
    }

    @Test
    void promptContexts_doNotMixWithDecodeContexts() {
      assertThat(prompts(latent("P"), latent("D"), 2, 2).fits()).isTrue();
      assertThat(noted(prompts(latent("P"), latent("D"), 2, 1)))
          .containsExactly(Rule.CONTEXT_PARALLEL);
      assertThat(
              refusing(
                  prompts(
                      latent("P"),
                      latent("D").declare(Fact.DECODE_CONTEXT_PARALLEL, 2, WHERE),
                      2,
                      1)))
          .containsExactly(Rule.CONTEXT_PARALLEL);
      assertThat(
              refusing(
                  prompts(
                      latent("P").declare(Fact.DECODE_CONTEXT_PARALLEL, 2, WHERE),
                      latent("D"),
                      1,
                      2)))
          .containsExactly(Rule.CONTEXT_PARALLEL);
    }

    private static Verdict prompts(
        EngineProfile.Builder prefill, EngineProfile.Builder decode, int ofPrefill, int ofDecode) {
      return engine(
          prefill.declare(Fact.PREFILL_CONTEXT_PARALLEL, ofPrefill, WHERE),
          decode.declare(Fact.PREFILL_CONTEXT_PARALLEL, ofDecode, WHERE));
    }

    @Test
    void reason_saysBothKinds() {
      assertThat(reason(judge(DENSE, "0.32.0", 2, 1), Rule.CONTEXT_PARALLEL).prefill())
          .isEqualTo("dcp 2, pcp 1");
    }
  }

  @Nested
  class Blocks {
    private static EngineProfile.Builder block(EngineProfile.Builder engine, int tokens) {
      return engine
          .declare(Fact.BLOCK_SIZE, tokens, WHERE)
          .declare(Fact.PREFIX_CACHING, false, WHERE);
    }

    @ParameterizedTest
    @CsvSource({"16, 16", "16, 32", "16, 64", "32, 96"})
    void smallerOrEqualOnPrefill_fits(int prefill, int decode) {
      assertThat(engine(block(dense("P"), prefill), block(dense("D"), decode)).fits()).isTrue();
    }

    @ParameterizedTest
    @CsvSource({"128, 64", "32, 16", "32, 48", "64, 96"})
    void notAMultiple_isRefused(int prefill, int decode) {
      Verdict verdict = engine(block(dense("P"), prefill), block(dense("D"), decode));

      assertThat(refusing(verdict)).containsExactly(Rule.BLOCK_SIZE);
      assertThat(reason(verdict, Rule.BLOCK_SIZE).prefill()).isEqualTo(prefill + " tokens");
    }

    @Test
    void equalKernelBlocks_fitWhateverTheScheduler() {
      EngineProfile.Builder prefill =
          block(dense("P"), 128).probe(Fact.KERNEL_BLOCK_SIZE, 64, "handshake");
      EngineProfile.Builder decode =
          block(dense("D"), 64).probe(Fact.KERNEL_BLOCK_SIZE, 64, "handshake");

      assertThat(engine(prefill, decode)).isEqualTo(new Verdict.Fits());
    }

    @Test
    void kernelBlocks_areSaidWithTheirNumber() {
      EngineProfile.Builder prefill =
          block(dense("P"), 128).probe(Fact.KERNEL_BLOCK_SIZE, 64, "handshake");
      EngineProfile.Builder decode =
          block(dense("D"), 128).probe(Fact.KERNEL_BLOCK_SIZE, 32, "handshake");

      Reason reason = reason(engine(prefill, decode), Rule.BLOCK_SIZE);
      assertThat(reason.prefill()).isEqualTo("64 tokens (2 kernel blocks a block)");
      assertThat(reason.decode()).isEqualTo("32 tokens (4 kernel blocks a block)");
    }

    @Test
    void unequalBlocks_needACanary() {
      Verdict verdict = engine(block(dense("P"), 16), block(dense("D"), 32));

      assertThat(((Verdict.FitsWith) verdict).notes())
          .containsExactly(
              new Note(
                  Rule.BLOCK_SIZE,
                  "blocks of 16 tokens are read into blocks of 32",
                  Note.Attention.CANARY));
    }

    @Test
    void unequalBlocks_onCpus_areKnownToAnswerWrong() {
      assertThat(refusing(engine(onCpu("P", 32), onCpu("D", 64))))
          .containsExactly(Rule.CPU_BLOCK_INTERIOR);
      assertThat(refusing(engine(onCpu("P", 64), onCpu("D", 32))))
          .containsExactly(Rule.BLOCK_SIZE, Rule.CPU_BLOCK_INTERIOR);
      assertThat(engine(onCpu("P", 64), onCpu("D", 64)).fits()).isTrue();
    }

    private static EngineProfile.Builder onCpu(String name, int tokens) {
      return block(dense(name), tokens)
          .declare(Fact.ATTENTION_BACKEND, "CPU_ATTN", WHERE)
          .declare(Fact.LAYOUT, Layout.CPU_ATTENTION, WHERE);
    }

    @Test
    void unequalBlocks_withAPrefixCacheOnDecode_areRefused() {
      Verdict verdict =
          engine(
              block(dense("P"), 16),
              block(dense("D"), 32).declare(Fact.PREFIX_CACHING, true, WHERE));

      assertThat(refusing(verdict)).containsExactly(Rule.PREFIX_CACHE_SHIFT);
      assertThat(reason(verdict, Rule.PREFIX_CACHE_SHIFT).decode())
          .isEqualTo("32 tokens, prefix caching on (routes.yaml:1:1)");
      assertThat(reason(verdict, Rule.PREFIX_CACHE_SHIFT).remedy())
          .contains("--no-enable-prefix-caching");
    }

    @Test
    void unequalBlocks_withAPrefixCacheOnPrefill_fit() {
      assertThat(
              engine(
                      block(dense("P"), 16).declare(Fact.PREFIX_CACHING, true, WHERE),
                      block(dense("D"), 32))
                  .fits())
          .isTrue();
    }

    @Test
    void unequalBlocks_withoutAWord_haveVllmsPrefixCache() {
      assertThat(refusing(engine(dense("P"), dense("D").declare(Fact.BLOCK_SIZE, 32, WHERE))))
          .containsExactly(Rule.PREFIX_CACHE_SHIFT);
    }

    @Test
    void unequalBlocksOfHybrids_haveToSayWhetherThereIsAPrefixCache() {
      EngineProfile.Builder prefill =
          EngineProfile.named("P")
              .declare(Fact.ARCHITECTURE, Architecture.HYBRID, WHERE)
              .declare(Fact.CONNECTOR_VERSION, 14, WHERE)
              .probe(Fact.HASH, "aa", "handshake")
              .probe(Fact.TENSOR_PARALLEL, 1, "tp_size")
              .probe(Fact.KERNEL_BLOCK_SIZE, 16, "handshake")
              .probe(Fact.LAYOUT, Layout.HND, "handshake");
      EngineProfile.Builder decode =
          EngineProfile.named("D")
              .declare(Fact.ARCHITECTURE, Architecture.HYBRID, WHERE)
              .declare(Fact.CONNECTOR_VERSION, 14, WHERE)
              .probe(Fact.HASH, "aa", "handshake")
              .probe(Fact.TENSOR_PARALLEL, 1, "tp_size")
              .probe(Fact.KERNEL_BLOCK_SIZE, 32, "handshake")
              .probe(Fact.LAYOUT, Layout.HND, "handshake");

      assertThat(missing(engine(prefill, decode))).containsExactly("decode: prefix-caching");
    }

    @Test
    void unequalBlocks_doNotGoWithGatheringHeads() {
      assertThat(refusing(engine(tp(block(dense("P"), 16), 4), tp(block(dense("D"), 32), 2))))
          .containsExactly(Rule.BLOCK_SIZE_WITH_TENSOR_PARALLEL);
      assertThat(engine(tp(block(dense("P"), 16), 2), tp(block(dense("D"), 32), 4)).fits())
          .isTrue();
      assertThat(engine(tp(block(dense("P"), 16), 2), tp(block(dense("D"), 32), 2)).fits())
          .isTrue();
      assertThat(engine(tp(block(latent("P"), 64), 4), tp(block(latent("D"), 128), 2)).fits())
          .isTrue();
    }

    private static EngineProfile.Builder tp(EngineProfile.Builder engine, int ranks) {
      return engine.declare(Fact.TENSOR_PARALLEL, ranks, WHERE);
    }

    @ParameterizedTest
    @CsvSource({"0.27.0, true", "0.28.0, false"})
    void unequalBlocksUnderTheHybridManager_needANewRelease(String vllm, boolean refused) {
      Verdict verdict = engine(slidingWindow("P", vllm, 16), slidingWindow("D", vllm, 32));

      if (refused) {
        assertThat(refusing(verdict)).containsExactly(Rule.HYBRID_BLOCK_SIZE);
      } else {
        assertThat(verdict.fits()).isTrue();
      }
    }

    @Test
    void unequalBlocksWithoutTheHybridManager_fit() {
      assertThat(
              engine(
                      slidingWindow("P", "0.27.0", 16)
                          .declare(Fact.HYBRID_CACHE_MANAGER, false, WHERE),
                      slidingWindow("D", "0.27.0", 32)
                          .declare(Fact.HYBRID_CACHE_MANAGER, false, WHERE))
                  .fits())
          .isTrue();
    }

    @Test
    void unequalBlocksOfUnknownGroups_needTheShape() {
      assertThat(missing(engine(shapeless("P", 16), shapeless("D", 32))))
          .containsExactly("prefill: model-shape", "decode: model-shape");
    }

    private static EngineProfile.Builder shapeless(String name, int block) {
      return block(EngineProfile.named(name), block)
          .declare(Fact.VLLM_VERSION, "0.27.0", WHERE)
          .declare(Fact.ATTENTION_BACKEND, "FLASH_ATTN", WHERE)
          .declare(Fact.TENSOR_PARALLEL, 1, WHERE)
          .probe(Fact.HASH, "aa", "handshake");
    }

    private static EngineProfile.Builder slidingWindow(String name, String vllm, int block) {
      return block(dense(name), block)
          .declare(Fact.VLLM_VERSION, vllm, WHERE)
          .declare(
              Fact.SHAPE,
              new ModelShape(
                  8,
                  128,
                  2,
                  ElementType.BFLOAT16,
                  List.of(
                      new CacheGroup.SlidingWindow(List.of(0, 2), 64),
                      new CacheGroup.Full(List.of(1, 3)))),
              WHERE);
    }

    @Test
    void unequalBlocks_doNotGoThroughHostMemory() {
      assertThat(refusing(engine(block(dense("P"), 16), buffered(block(dense("D"), 32)))))
          .containsExactly(Rule.HOST_BUFFER_BLOCK_SIZE);
      assertThat(engine(buffered(block(dense("P"), 16)), block(dense("D"), 32)).fits()).isTrue();
      assertThat(engine(block(dense("P"), 16), buffered(block(dense("D"), 16))).fits()).isTrue();
    }

    @Test
    void otherMemory_needsANewRelease() {
      assertThat(
              refusing(
                  engine(
                      dense("P").declare(Fact.VLLM_VERSION, "0.29.0", WHERE),
                      buffered(dense("D")).declare(Fact.VLLM_VERSION, "0.29.0", WHERE))))
          .containsExactly(Rule.BUFFER_MEMORY);
      assertThat(
              engine(
                      dense("P").declare(Fact.VLLM_VERSION, "0.30.0", WHERE),
                      buffered(dense("D")).declare(Fact.VLLM_VERSION, "0.30.0", WHERE))
                  .fits())
          .isTrue();
      assertThat(
              engine(
                      buffered(dense("P")).declare(Fact.VLLM_VERSION, "0.29.0", WHERE),
                      buffered(dense("D")).declare(Fact.VLLM_VERSION, "0.29.0", WHERE))
                  .fits())
          .isTrue();
    }

    private static EngineProfile.Builder buffered(EngineProfile.Builder engine) {
      return engine.declare(
          Fact.CONNECTOR,
          ConnectorConfig.of(Map.of("kv_connector", "NixlConnector", "kv_buffer_device", "cpu")),
          WHERE);
    }

    @Test
    void kernelBlocksOfHybrids_doNotGoWithAPrefixCacheOnDecode() {
      assertThat(refusing(engine(paged("P", 2, true), paged("D", 3, true))))
          .containsExactly(Rule.HYBRID_KERNEL_BLOCKS);
      assertThat(engine(paged("P", 2, true), paged("D", 3, false)).fits()).isTrue();
      assertThat(engine(paged("P", 2, true), paged("D", 2, true)).fits()).isTrue();
    }

    private static EngineProfile.Builder paged(String name, int kernelBlocks, boolean caching) {
      return hybrid(name)
          .declare(Fact.KERNEL_BLOCK_SIZE, 16, WHERE)
          .declare(Fact.BLOCK_SIZE, 16 * kernelBlocks, WHERE)
          .declare(Fact.PREFIX_CACHING, caching, WHERE);
    }

    @Test
    void kernelBlocksOfOthers_mayDiffer() {
      EngineProfile.Builder prefill =
          dense("P")
              .declare(Fact.BLOCK_SIZE, 128, WHERE)
              .probe(Fact.KERNEL_BLOCK_SIZE, 64, "handshake");
      EngineProfile.Builder decode =
          dense("D")
              .declare(Fact.BLOCK_SIZE, 64, WHERE)
              .probe(Fact.KERNEL_BLOCK_SIZE, 64, "handshake");

      assertThat(engine(prefill, decode).fits()).isTrue();
    }

    @Test
    void unknownSizes_areMissing() {
      EngineProfile.Builder decode =
          EngineProfile.named("D")
              .probe(Fact.VLLM_VERSION, "0.32.0", "GET /version")
              .probe(Fact.HASH, "aa", "handshake");
      EngineProfile.Builder prefill = dense("P").probe(Fact.HASH, "aa", "handshake");

      assertThat(missing(engine(prefill, decode)))
          .containsExactly(
              "decode: tensor-parallel", "decode: kernel-block-size", "decode: layout");
    }
  }

  @Nested
  class Layouts {
    private static EngineProfile.Builder layout(EngineProfile.Builder engine, Layout layout) {
      return engine.declare(Fact.LAYOUT, layout, WHERE);
    }

    private static EngineProfile.Builder permuting(EngineProfile.Builder engine) {
      return engine.declare(
          Fact.CONNECTOR,
          ConnectorConfig.of(
              Map.of("kv_connector", "NixlConnector", "enable_permute_local_kv", true)),
          WHERE);
    }

    @Test
    void otherOrders_areRefused() {
      Verdict verdict = engine(layout(dense("P"), Layout.HND), layout(dense("D"), Layout.NHD));

      assertThat(refusing(verdict)).containsExactly(Rule.LAYOUT);
      assertThat(reason(verdict, Rule.LAYOUT).decode()).isEqualTo("nhd");
      assertThat(engine(layout(dense("P"), Layout.NHD), layout(dense("D"), Layout.NHD)).fits())
          .isTrue();
    }

    @Test
    void permuting_isForHndIntoNhd() {
      assertThat(noted(engine(layout(dense("P"), Layout.HND), permuting(nhd("D")))))
          .containsExactly(Rule.LAYOUT);
      assertThat(refusing(engine(permuting(nhd("P")), layout(dense("D"), Layout.HND))))
          .containsExactly(Rule.LAYOUT);
      assertThat(refusing(engine(permuting(layout(dense("P"), Layout.HND)), nhd("D"))))
          .containsExactly(Rule.LAYOUT);
      assertThat(refusing(engine(nhd("P"), permuting(layout(dense("D"), Layout.HND)))))
          .containsExactly(Rule.LAYOUT);
    }

    @Test
    void permuting_isNotForSeveralGroups() {
      assertThat(refusing(engine(grouped(dense("P")), permuting(grouped(nhd("D"))))))
          .containsExactly(Rule.LAYOUT);
      assertThat(
              engine(
                      grouped(dense("P")).declare(Fact.HYBRID_CACHE_MANAGER, false, WHERE),
                      permuting(grouped(nhd("D"))).declare(Fact.HYBRID_CACHE_MANAGER, false, WHERE))
                  .fits())
          .isTrue();
    }

    private static EngineProfile.Builder grouped(EngineProfile.Builder engine) {
      return engine.declare(
          Fact.SHAPE,
          new ModelShape(
              8,
              128,
              2,
              ElementType.BFLOAT16,
              List.of(
                  new CacheGroup.SlidingWindow(List.of(0, 2), 64),
                  new CacheGroup.Full(List.of(1, 3)))),
          WHERE);
    }

    private static EngineProfile.Builder nhd(String name) {
      return layout(dense(name), Layout.NHD);
    }

    private static EngineProfile.Builder tp(EngineProfile.Builder engine, int ranks) {
      return engine.declare(Fact.TENSOR_PARALLEL, ranks, WHERE);
    }

    @ParameterizedTest
    @CsvSource({"1, 2", "2, 1", "4, 8"})
    void tokensFirst_doNotGoWithUnequalParallelism(int prefill, int decode) {
      Verdict verdict = engine(tp(nhd("P"), prefill), tp(nhd("D"), decode));

      assertThat(refusing(verdict)).containsExactly(Rule.HEADS_NOT_CONTIGUOUS);
      assertThat(reason(verdict, Rule.HEADS_NOT_CONTIGUOUS).decode())
          .isEqualTo("nhd on %d ranks".formatted(decode));
    }

    @Test
    void tokensFirst_fitWhereNothingIsSplit() {
      assertThat(engine(tp(nhd("P"), 4), tp(nhd("D"), 4)).fits()).isTrue();
      assertThat(engine(tp(nhd("P"), 16), tp(nhd("D"), 32)).fits()).isTrue();
      assertThat(refusing(engine(tp(nhd("P"), 8), tp(nhd("D"), 16))))
          .containsExactly(Rule.HEADS_NOT_CONTIGUOUS);
    }

    @Test
    void tokensFirst_permuted_mayBeSplit() {
      assertThat(engine(tp(layout(dense("P"), Layout.HND), 1), tp(permuting(nhd("D")), 2)).fits())
          .isTrue();
      assertThat(refusing(engine(tp(nhd("P"), 1), tp(permuting(nhd("D")), 2))))
          .containsExactly(Rule.HEADS_NOT_CONTIGUOUS);
    }

    @ParameterizedTest
    @CsvSource({
      "HND, true",
      "HND_SPLIT, true",
      "HND_SEPARATE, true",
      "HEAD_MAJOR, false",
      "NHD, false",
      "NHD_SPLIT, false",
      "NHD_SEPARATE, false",
      "CROSS_LAYER, true",
      "CROSS_LAYER_LHN, false",
      "CROSS_LAYER_LNH, false"
    })
    void heads_areContiguousInSomeLayouts(Layout layout, boolean contiguous) {
      Verdict verdict =
          engine(tp(layout(dense("P"), layout), 1), tp(layout(dense("D"), layout), 2));

      if (contiguous) {
        assertThat(verdict).isEqualTo(new Verdict.Fits());
      } else {
        assertThat(refusing(verdict)).containsExactly(Rule.HEADS_NOT_CONTIGUOUS);
      }
    }

    @Test
    void layoutsOfLatents_doNotMatter() {
      assertThat(
              engine(
                  tp(layout(latent("P"), Layout.HND), 1), tp(layout(latent("D"), Layout.NHD), 2)))
          .isEqualTo(new Verdict.Fits());
    }

    @Test
    void unknownLayouts_areMissing() {
      EngineProfile.Builder prefill = dense("P").declare(Fact.VLLM_VERSION, "0.32.0", WHERE);
      EngineProfile.Builder decode =
          EngineProfile.named("D")
              .declare(Fact.VLLM_VERSION, "0.32.0", WHERE)
              .declare(Fact.TENSOR_PARALLEL, 1, WHERE)
              .declare(Fact.BLOCK_SIZE, 16, WHERE)
              .probe(Fact.HASH, "aa", "handshake");

      assertThat(missing(engine(prefill.probe(Fact.HASH, "aa", "handshake"), decode)))
          .containsExactly("decode: layout");
    }

    @ParameterizedTest
    @CsvSource({"0.28.0, compute_nixl_compatibility_hash", "0.29.0, _validate_remote_agent"})
    void layersTogetherOnOneSide_areRefused_forTheReleasesOwnReason(String vllm, String source) {
      Verdict verdict =
          engine(
              layout(dense("P"), Layout.CROSS_LAYER).declare(Fact.VLLM_VERSION, vllm, WHERE),
              layout(dense("D"), Layout.HND).declare(Fact.VLLM_VERSION, vllm, WHERE));

      assertThat(refusing(verdict)).containsExactly(Rule.CROSS_LAYER_BLOCKS);
      assertThat(reason(verdict, Rule.CROSS_LAYER_BLOCKS).source()).contains(source);
      assertThat(reason(verdict, Rule.CROSS_LAYER_BLOCKS).prefill())
          .isEqualTo("all layers in one block");
      assertThat(reason(verdict, Rule.CROSS_LAYER_BLOCKS).decode()).isEqualTo("a block per layer");
      assertThat(reason(verdict, Rule.CROSS_LAYER_BLOCKS).remedy())
          .isEqualTo(
              "leave enable_cross_layers_blocks off on both sides; or make it take effect on both:"
                  + " it needs FLASH_ATTN, FLASHINFER or TRITON_ATTN, the HND layout and one"
                  + " KV-cache group");
    }

    @Test
    void layersTogetherOnOneSide_ofAPlainConnector_areSetOnTheOther() {
      EngineProfile.Builder prefill =
          dense("P")
              .declare(Fact.CONNECTOR, ConnectorConfig.named("NixlConnector"), WHERE)
              .probe(Fact.BLOCK_LENS, Collections.nCopies(32, 65_536L), "handshake");
      EngineProfile.Builder decode = layout(dense("D"), Layout.CROSS_LAYER);

      Reason reason = reason(engine(prefill, decode), Rule.CROSS_LAYER_BLOCKS);
      assertThat(reason.prefill())
          .isEqualTo(
              "a block per layer in 32 regions, because NixlConnector does not set"
                  + " enable_cross_layers_blocks");
      assertThat(reason.remedy()).endsWith("on both: set it for NixlConnector");
    }

    @Test
    void latentsTogetherOnOneSide_areAMatterOfStrides() {
      assertThat(noted(engine(latent("P"), layout(latent("D"), Layout.CROSS_LAYER_LHN))))
          .containsExactly(Rule.CROSS_LAYER_BLOCKS);
      assertThat(
              refusing(
                  engine(
                      latent("P"),
                      layout(latent("D"), Layout.CROSS_LAYER_LHN)
                          .declare(Fact.BLOCK_SIZE, 128, WHERE)
                          .declare(Fact.PREFIX_CACHING, false, WHERE))))
          .containsExactly(Rule.CROSS_LAYER_BLOCKS);
      assertThat(
              refusing(
                  engine(
                      latent("P").declare(Fact.VLLM_VERSION, "0.28.0", WHERE),
                      layout(latent("D"), Layout.CROSS_LAYER_LHN)
                          .declare(Fact.VLLM_VERSION, "0.28.0", WHERE))))
          .containsExactly(Rule.CROSS_LAYER_BLOCKS);
    }

    @Test
    void convolutionStates_haveToBeKeptSplittable() {
      assertThat(
              refusing(
                  engine(
                      hybrid("P").declare(Fact.CONV_STATE_LAYOUT, "SD", WHERE),
                      hybrid("D").declare(Fact.CONV_STATE_LAYOUT, "DS", WHERE))))
          .containsExactly(Rule.CONV_STATE_LAYOUT);
      assertThat(
              refusing(
                  engine(hybrid("P"), hybrid("D").declare(Fact.CONV_STATE_LAYOUT, "SD", WHERE))))
          .containsExactly(Rule.CONV_STATE_LAYOUT);
      assertThat(
              engine(hybrid("P").declare(Fact.CONV_STATE_LAYOUT, "DS", WHERE), hybrid("D")).fits())
          .isTrue();
      assertThat(engine(dense("P").declare(Fact.CONV_STATE_LAYOUT, "SD", WHERE), dense("D")).fits())
          .isTrue();
    }

    @Test
    void cpuAttention_repacksWhatComesFromOthers() {
      assertThat(refusing(engine(gpu(dense("P")), cpu(dense("D")))))
          .containsExactly(Rule.ATTENTION_BACKEND);
      assertThat(refusing(engine(gpu(grouped(dense("P"))), cpu(grouped(dense("D"))))))
          .containsExactly(Rule.ATTENTION_BACKEND, Rule.CPU_REPACKING);
      assertThat(refusing(engine(cpu(grouped(dense("P"))), gpu(grouped(dense("D"))))))
          .containsExactly(Rule.ATTENTION_BACKEND);
      assertThat(engine(cpu(grouped(dense("P"))), cpu(grouped(dense("D")))).fits()).isTrue();
    }

    private static EngineProfile.Builder cpu(EngineProfile.Builder engine) {
      return layout(
          engine.declare(Fact.ATTENTION_BACKEND, "CPU_ATTN", WHERE), Layout.CPU_ATTENTION);
    }

    private static EngineProfile.Builder gpu(EngineProfile.Builder engine) {
      return engine.declare(Fact.ATTENTION_BACKEND, "FLASH_ATTN", WHERE);
    }
  }

  @Nested
  class Regions {
    private static EngineProfile.Builder regions(
        EngineProfile.Builder engine, int count, long length) {
      return engine.probe(Fact.BLOCK_LENS, Collections.nCopies(count, length), "handshake");
    }

    private static EngineProfile.Builder tp(EngineProfile.Builder engine, int ranks) {
      return engine.declare(Fact.TENSOR_PARALLEL, ranks, WHERE);
    }

    @ParameterizedTest
    @CsvSource({
      "1, 65536, 1, 65536",
      "1, 65536, 2, 32768",
      "2, 32768, 1, 65536",
      "8, 8192, 16, 8192",
      "16, 8192, 32, 8192",
      "4, 16384, 16, 8192"
    })
    void lengths_followTheHeadsOfARank(
        int prefillRanks, long prefillLength, int decodeRanks, long decodeLength) {
      assertThat(
              engine(
                      regions(tp(dense("P"), prefillRanks), 32, prefillLength),
                      regions(tp(dense("D"), decodeRanks), 32, decodeLength))
                  .fits())
          .isTrue();
    }

    @Test
    void otherLengths_areRefused() {
      Verdict verdict = engine(regions(dense("P"), 32, 65_536), regions(dense("D"), 32, 32_768));

      assertThat(refusing(verdict)).containsExactly(Rule.REGION_LENGTHS);
      assertThat(reason(verdict, Rule.REGION_LENGTHS).prefill())
          .isEqualTo("65536 bytes a block in region 0");
      assertThat(reason(verdict, Rule.REGION_LENGTHS).decode())
          .isEqualTo("32768 bytes, which asks for 32768");
    }

    @Test
    void aSingleOtherLength_isNamed() {
      EngineProfile.Builder decode =
          dense("D").probe(Fact.BLOCK_LENS, lengths(31, 65_536, 4096), "handshake");

      assertThat(
              reason(engine(regions(dense("P"), 32, 65_536), decode), Rule.REGION_LENGTHS)
                  .prefill())
          .isEqualTo("65536 bytes a block in region 31");
    }

    private static List<Long> lengths(int count, long length, long last) {
      List<Long> lengths = new ArrayList<>(Collections.nCopies(count, length));
      lengths.add(last);
      return lengths;
    }

    @Test
    void unequalBlocks_scaleTheLengths() {
      EngineProfile.Builder decode =
          dense("D").declare(Fact.BLOCK_SIZE, 64, WHERE).declare(Fact.PREFIX_CACHING, false, WHERE);

      assertThat(engine(regions(dense("P"), 32, 65_536), regions(decode, 32, 262_144)).fits())
          .isTrue();
    }

    @Test
    void unequalBlocks_withLengthsThatDoNotScale_areRefused() {
      EngineProfile.Builder decode =
          dense("D").declare(Fact.BLOCK_SIZE, 64, WHERE).declare(Fact.PREFIX_CACHING, false, WHERE);

      assertThat(refusing(engine(regions(dense("P"), 32, 65_536), regions(decode, 32, 65_536))))
          .containsExactly(Rule.REGION_LENGTHS);
    }

    @Test
    void largerBlocksOnPrefill_areRefusedForTheirSizeAlone() {
      EngineProfile.Builder prefill = dense("P").declare(Fact.BLOCK_SIZE, 64, WHERE);

      assertThat(refusing(engine(regions(prefill, 32, 262_144), regions(dense("D"), 32, 65_536))))
          .containsExactly(Rule.BLOCK_SIZE, Rule.PREFIX_CACHE_SHIFT);
    }

    @Test
    void latents_haveTheSameLengthOnEveryRank() {
      assertThat(
              engine(
                      regions(tp(latent("P"), 8), 27, 73_728),
                      regions(tp(latent("D"), 1), 27, 73_728))
                  .fits())
          .isTrue();
    }

    @Test
    void otherNumbersOfRegions_areRefused() {
      Verdict verdict = engine(regions(dense("P"), 64, 65_536), regions(dense("D"), 32, 65_536));

      assertThat(refusing(verdict)).containsExactly(Rule.REGIONS);
      assertThat(reason(verdict, Rule.REGIONS).prefill()).isEqualTo("64 regions");
    }

    @Test
    void hybrids_padTheirBlocks() {
      assertThat(engine(regions(hybrid("P"), 10, 1000), regions(hybrid("D"), 10, 2000)).fits())
          .isTrue();
    }

    @Test
    void unknownHeads_leaveLengthsAlone() {
      EngineProfile.Builder prefill = unknown("P", 65_536);
      EngineProfile.Builder decode = unknown("D", 32_768);

      assertThat(engine(prefill, decode).fits()).isTrue();
    }

    private static EngineProfile.Builder unknown(String name, long length) {
      return regions(
          EngineProfile.named(name)
              .probe(Fact.VLLM_VERSION, "0.32.0", "GET /version")
              .probe(Fact.HASH, "aa", "handshake")
              .probe(Fact.TENSOR_PARALLEL, 1, "tp_size")
              .probe(Fact.KERNEL_BLOCK_SIZE, 16, "handshake")
              .probe(Fact.LAYOUT, Layout.HND, "handshake"),
          32,
          length);
    }

    @Test
    void otherNames_areRefusedByNewReleases() {
      assertThat(refusing(named("0.30.0"))).containsExactly(Rule.REGIONS);
      assertThat(named("0.29.0").fits()).isTrue();
    }

    private static Verdict named(String vllm) {
      return engine(
          dense("P")
              .declare(Fact.VLLM_VERSION, vllm, WHERE)
              .probe(Fact.REGION_NAMES, List.of("model.layers.0"), "handshake"),
          dense("D")
              .declare(Fact.VLLM_VERSION, vllm, WHERE)
              .probe(Fact.REGION_NAMES, List.of("model.layers.1"), "handshake"));
    }

    @Test
    void ranksWithOtherNumbersOfBlocks_areNotOneEngine() {
      assertThat(
              refusing(
                  engine(
                      dense("P").probe(Fact.RANK_BLOCKS, List.of(1000, 1001), "handshakes"),
                      dense("D"))))
          .containsExactly(Rule.RANK_BLOCKS);
      assertThat(
              engine(
                      dense("P").probe(Fact.RANK_BLOCKS, List.of(1000, 1000), "handshakes"),
                      dense("D").probe(Fact.RANK_BLOCKS, List.of(7, 8), "handshakes"))
                  .fits())
          .isTrue();
    }
  }

  @Nested
  class Addresses {
    private static EngineProfile.Builder at(
        EngineProfile.Builder engine, String http, String sideChannel, int port) {
      return engine
          .declare(Fact.HTTP_HOST, http, WHERE)
          .probe(Fact.SIDE_CHANNEL_HOST, sideChannel, "remote_host")
          .probe(Fact.SIDE_CHANNEL_PORT, port, "remote_port");
    }

    @Test
    void ownAddresses_fit() {
      assertThat(
              engine(
                  at(dense("P"), "10.0.0.1", "10.0.0.1", 5600),
                  at(dense("D"), "10.0.0.2", "10.0.0.2", 5600)))
          .isEqualTo(new Verdict.Fits());
      assertThat(
              engine(
                  at(dense("P"), "10.0.0.1", "10.0.0.1", 5600),
                  at(dense("D"), "10.0.0.1", "10.0.0.1", 5601)))
          .isEqualTo(new Verdict.Fits());
    }

    @ParameterizedTest
    @CsvSource({"localhost", "LOCALHOST", "127.0.0.1", "127.0.1.1", "::1", "[::1]"})
    void loopback_ofAnEngineElsewhere_isRefused(String host) {
      Verdict verdict =
          engine(at(dense("P"), "10.0.0.1", host, 5600), at(dense("D"), "10.0.0.2", "10.0.0.2", 1));

      assertThat(refusing(verdict)).containsExactly(Rule.SIDE_CHANNEL);
      assertThat(reason(verdict, Rule.SIDE_CHANNEL).prefill())
          .isEqualTo("%s:5600, at HTTP host 10.0.0.1".formatted(host));
    }

    @Test
    void loopback_onOneMachine_fits() {
      assertThat(
              engine(
                  at(dense("P"), "127.0.0.1", "localhost", 5600),
                  at(dense("D"), "127.0.0.1", "localhost", 5601)))
          .isEqualTo(new Verdict.Fits());
    }

    @Test
    void loopbackOfTheReader_doesNotMatter() {
      assertThat(
              engine(
                  at(dense("P"), "10.0.0.1", "10.0.0.1", 5600),
                  at(dense("D"), "10.0.0.2", "localhost", 5600)))
          .isEqualTo(new Verdict.Fits());
    }

    @ParameterizedTest
    @CsvSource({"0.0.0.0", "::", "[::]", "*"})
    void wildcards_areRefused(String host) {
      Verdict verdict = engine(at(dense("P"), "10.0.0.1", host, 5600), dense("D"));

      assertThat(refusing(verdict)).containsExactly(Rule.SIDE_CHANNEL);
      assertThat(reason(verdict, Rule.SIDE_CHANNEL).decode()).isEqualTo("not known");
    }

    @Test
    void oneSideChannelForTwo_isRefused() {
      assertThat(
              refusing(
                  engine(
                      at(dense("P"), "10.0.0.1", "10.0.0.1", 5600),
                      at(dense("D"), "10.0.0.1", "10.0.0.1", 5600))))
          .containsExactly(Rule.SIDE_CHANNEL);
      assertThat(
              refusing(
                  engine(
                      at(dense("P"), "127.0.0.1", "localhost", 5600),
                      at(dense("D"), "127.0.0.1", "localhost", 5600))))
          .containsExactly(Rule.SIDE_CHANNEL);
    }

    @Test
    void sideChannelsOfOneNameOnTwoMachines_areTwo() {
      assertThat(
              reason(
                      engine(
                          at(dense("P"), "10.0.0.1", "localhost", 5600),
                          at(dense("D"), "10.0.0.2", "localhost", 5600)),
                      Rule.SIDE_CHANNEL)
                  .remedy())
          .contains("loopback");
      assertThat(
              refusing(
                  engine(
                      at(dense("P"), "10.0.0.1", "10.0.0.9", 5600),
                      at(dense("D"), "10.0.0.2", "10.0.0.9", 5600))))
          .containsExactly(Rule.SIDE_CHANNEL);
    }

    @Test
    void anAddressWithoutItsPort_isSaidAsItIs() {
      assertThat(
              reason(
                      engine(
                          dense("P").probe(Fact.SIDE_CHANNEL_HOST, "0.0.0.0", "remote_host"),
                          dense("D")),
                      Rule.SIDE_CHANNEL)
                  .prefill())
          .isEqualTo("0.0.0.0");
    }

    @Test
    void oneEngineIdForTwo_isRefused() {
      assertThat(
              refusing(
                  engine(
                      dense("P").probe(Fact.ENGINE_ID, "e1", "handshake"),
                      dense("D").probe(Fact.ENGINE_ID, "e1", "handshake"))))
          .containsExactly(Rule.ENGINE_ID);
      assertThat(
              engine(
                      dense("P").probe(Fact.ENGINE_ID, "e1", "handshake"),
                      dense("D").probe(Fact.ENGINE_ID, "e2", "handshake"))
                  .fits())
          .isTrue();
    }
  }
}
