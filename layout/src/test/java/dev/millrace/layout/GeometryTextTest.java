package dev.millrace.layout;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class GeometryTextTest {

  @Test
  void parse_ofNothing_hasTheDefaults() {
    assertThat(GeometryText.parse(" "))
        .isEqualTo(
            new GeometrySpec(
                ModelShape.dense(32, 8, 128, ElementType.BFLOAT16),
                Parallelism.tensor(1),
                16,
                Layout.HND,
                1024));
  }

  @Test
  void parse_readsEveryKey() {
    assertThat(
            GeometryText.parse(
                "tp=2, pp = 3,dcp=4,block=32,layout=NHD,blocks=7,layers=6,heads=4,head-size=64,"
                    + "dtype=torch.float32,mla=false"))
        .isEqualTo(
            new GeometrySpec(
                ModelShape.dense(6, 4, 64, ElementType.FLOAT32),
                new Parallelism(2, 3, 4),
                32,
                Layout.NHD,
                7));
  }

  @ParameterizedTest
  @ValueSource(strings = {"mla=true", "latent=576", "mla=true,latent=576"})
  void parse_ofMla_keepsOneLatent(String text) {
    assertThat(GeometryText.parse("layers=4," + text).model())
        .isEqualTo(ModelShape.mla(4, 576, ElementType.BFLOAT16));
  }

  @Test
  void parse_ofAWindow_putsEveryOtherLayerInAGroupOfItsOwn() {
    assertThat(GeometryText.parse("layers=5,window=64").model().groups())
        .isEqualTo(
            List.of(
                new CacheGroup.SlidingWindow(List.of(0, 2, 4), 64),
                new CacheGroup.Full(List.of(1, 3))));
  }

  @Test
  void parse_ofAHybrid_spreadsStatesOverGroupsOfEqualSize() {
    GeometrySpec spec =
        GeometryText.parse("layers=2,heads=4,head-size=8,state=mamba1:32:16,state-layers=4");
    StateShape state =
        StateShape.mamba1(
            32, 16, new StateShape.Convolution(3, ElementType.BFLOAT16), ElementType.BFLOAT16);
    assertThat(spec.model().groups())
        .isEqualTo(
            List.of(
                new CacheGroup.StateSpace(List.of(0, 3), state),
                new CacheGroup.StateSpace(List.of(1, 4), state),
                new CacheGroup.Full(List.of(2, 5))));
    // A state has 1216 bytes, a block 2048.
    assertThat(spec.blocksPerId()).isEqualTo(1);
    assertThat(GeometryText.parse("block=4,layers=2,heads=4,head-size=8,state=mamba1:32:16"))
        .returns(3, GeometrySpec::blocksPerId)
        .returns(1026, GeometrySpec::blocks);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "tps=2 | \"tps\" is not a key; known keys: tp, pp, dcp, block, layout, blocks, layers, heads, head-size, dtype, mla, latent, window, state, state-layers, state-dtype, conv, per-id",
        "tp | \"tp\" has no value; write tp=…",
        "tp=1,tp=2 | \"tp\" stands twice",
        "tp=0 | tp=0 is not a whole number from 1 to 256",
        "tp=257 | tp=257 is not a whole number from 1 to 256",
        "block=x | block=x is not a whole number from 1 to 1048576",
        "blocks= | blocks= is not a whole number from 1 to 2147483647",
        "layout=dnh | \"dnh\" is not a layout; known: hnd, nhd, hnd-split, nhd-split, hnd-separate, nhd-separate, cross-layer, cross-layer-lhn, cross-layer-lnh, head-major, cpu",
        "dtype=int4 | \"int4\" is not an element type; known: fp32, fp16, bf16, fp8_e4m3, fp8_e5m2, int8",
        "mla=yes | mla=yes is neither true nor false",
        "mla=false,latent=576 | \"latent\" is MLA's, so mla=false contradicts it",
        "mla=true,heads=8 | MLA keeps one latent per token, so \"heads\" has no meaning; use latent=…",
        "latent=9,head-size=8 | MLA keeps one latent per token, so \"head-size\" has no meaning; use latent=…",
        "layers=1,window=4 | window=… is for every other layer, so there must be at least 2 layers",
        "state=mamba3:1 | \"mamba3:1\" is not a state; known: mamba1:CHANNELS:STATE_SIZE, mamba2:HEADS:HEAD_SIZE:GROUPS:STATE_SIZE, gdn:KEY_HEADS:VALUE_HEADS:KEY_SIZE:VALUE_SIZE",
        "state=mamba1:8:0 | \"0\" in a state is not a whole number from 1 to 1048576",
        "state=mamba1:8:4,layers=2,state-layers=3 | state-layers=3 is no multiple of layers=2",
        "state=mamba1:8:4,window=3 | window=… and state=… cannot be said together",
        "conv=3 | \"conv\" has no meaning without state=…",
        "state=mamba1:9:4,tp=2 | 9 channels of a state's part x do not divide among 2 tensor-parallel ranks",
        "per-id=3,blocks=4 | blocks=4 is no multiple of per-id=3",
      })
  void parse_ofNonsense_saysWhatIsWrong(String text, String complaint) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> GeometryText.parse(text))
        .withMessage("geometry \"%s\": %s", text, complaint);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "tp=1,block=16,layout=hnd,blocks=1024,layers=32,heads=8,head-size=128,dtype=bf16",
        "tp=2,pp=3,dcp=2,block=48,layout=cpu,blocks=5,layers=7,heads=2,head-size=32,dtype=fp32",
        "tp=256,block=1,layout=nhd,blocks=1,layers=2,latent=512,dtype=fp8_e4m3",
        "tp=1,block=16,layout=nhd,blocks=1,layers=5,heads=1,head-size=1,dtype=int8,window=9",
        "tp=2,block=16,layout=hnd,blocks=8,layers=2,heads=4,head-size=8,dtype=bf16,state=mamba1:32:16,state-layers=2,state-dtype=bf16,conv=3,per-id=2",
        "tp=1,block=16,layout=hnd,blocks=9,layers=4,heads=4,head-size=8,dtype=bf16,state=mamba2:8:4:2:16,state-layers=36,state-dtype=fp32,conv=3,per-id=3",
        "tp=1,block=16,layout=nhd,blocks=4,layers=1,heads=4,head-size=8,dtype=bf16,state=gdn:4:8:8:2,state-layers=3,state-dtype=bf16,conv=2,per-id=4",
      })
  void format_writesWhatParseReads(String text) {
    assertThat(GeometryText.format(GeometryText.parse(text))).isEqualTo(text);
  }

  @Test
  void format_ofGroupsThatHaveNoText_isRefused() {
    ModelShape model =
        new ModelShape(
            1,
            1,
            2,
            ElementType.INT8,
            List.of(new CacheGroup.Full(List.of(0)), new CacheGroup.SlidingWindow(List.of(1), 4)));
    assertThatIllegalArgumentException()
        .isThrownBy(() ->
            GeometryText.format(new GeometrySpec(model, Parallelism.tensor(1), 16, Layout.HND, 4)))
        .withMessageStartingWith("these KV-cache groups cannot be written as text: ");
  }
}
