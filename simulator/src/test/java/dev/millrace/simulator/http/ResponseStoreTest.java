package dev.millrace.simulator.http;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class ResponseStoreTest {
  @Test
  void oneTooMany_takesThePlaceOfTheOldest() {
    ResponseStore store = new ResponseStore();
    for (int i = 0; i <= ResponseStore.MOST; i++) {
      store.keep("r" + i, new ResponseStore.Kept("body " + i, ""));
    }

    assertThat(store.get("r0")).isEmpty();
    assertThat(store.get("r1")).contains(new ResponseStore.Kept("body 1", ""));
    assertThat(store.get("r" + ResponseStore.MOST)).isPresent();
  }
}
