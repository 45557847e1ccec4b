package dev.millrace.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class SplitTest {
  private static Branch branch(String name, int weight) {
    return new Branch(
        name, weight, Optional.empty(), Optional.empty(), Stage.leastActive(name + "-pool"));
  }

  private static Split split(int weight, Branch... branches) {
    return new Split(weight, Optional.empty(), List.of(branches));
  }

  @Test
  void nothingWithAShare_isRefused() {
    assertThatThrownBy(() -> split(0, branch("a", 0))).hasMessageContaining("takes a share");
    assertThatThrownBy(() -> split(1)).hasMessageContaining("takes a share");
    assertThatThrownBy(() -> split(-1, branch("a", 2))).hasMessageContaining("weight=-1");
  }

  @Test
  void branchesThatCannotBeToldApart_areRefused() {
    assertThatThrownBy(() -> split(1, branch("a", 1), branch("a", 2)))
        .hasMessageContaining("same name");
    assertThatThrownBy(() -> split(1, branch("own", 1))).hasMessageContaining("same name");
  }

  @Test
  void partsOfARoute_haveOnePairOfPoolsEach() {
    Route route =
        Route.of("m", Stage.roundRobin("p"), Stage.roundRobin("d"))
            .withServedModelName("m-1")
            .withSplit(split(9, branch("next", 1)));

    assertThat(route.parts().sequencedKeySet()).containsExactly("own", "next");
    assertThat(route.parts().values())
        .extracting(Route::name, each -> each.decode().pool(), Route::servedModelName)
        .containsExactly(
            tuple("m", "d", Optional.of("m-1")), tuple("m/next", "next-pool", Optional.of("m-1")));
    assertThat(route.parts().values()).allSatisfy(each -> assertThat(each.split()).isEmpty());
  }
}
