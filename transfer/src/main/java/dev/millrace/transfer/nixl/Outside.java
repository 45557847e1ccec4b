package dev.millrace.transfer.nixl;

import java.time.Duration;

/** The threads by which a transport's parts reach each other, and the application. */
record Outside(ControlLoop control, Timers timers, Deliveries deliveries) {
  /** Runs {@code task} on the control thread. */
  void onControl(Runnable task) {
    control.submit(task);
  }

  /** Runs {@code task} on the control thread in a while. */
  void onControlAfter(Duration delay, Runnable task) {
    timers.after(delay, () -> control.submit(task));
  }

  /** Completes something that the application waits for. */
  void complete(Runnable completion) {
    deliveries.completion(completion);
  }
}
