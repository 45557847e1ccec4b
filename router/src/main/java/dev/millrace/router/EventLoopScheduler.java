package dev.millrace.router;

import io.netty.util.concurrent.ScheduledFuture;
import io.vertx.core.internal.ContextInternal;
import java.util.concurrent.TimeUnit;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.scheduler.Scheduler;

/**
 * Reactor's view of one event loop: what is scheduled here runs on that loop, in its context.
 *
 * <p>Every time operator gets this one. Reactor's own schedulers would carry an exchange to another
 * thread, where its state is not safe and writes take the slow way.
 */
final class EventLoopScheduler implements Scheduler {
  private final ContextInternal context;

  EventLoopScheduler(ContextInternal context) {
    this.context = context;
  }

  @Override
  public Disposable schedule(Runnable task) {
    Disposable.Swap cancelled = Disposables.swap();
    context.runOnContext(v -> {
      if (!cancelled.isDisposed()) {
        task.run();
      }
    });
    return cancelled;
  }

  @Override
  public Disposable schedule(Runnable task, long delay, TimeUnit unit) {
    ScheduledFuture<?> timer =
        context.nettyEventLoop().schedule(() -> context.dispatch(task), delay, unit);
    return new Timer(timer);
  }

  /** Runs a task when the loop has gone once through all sockets on which something has come. */
  void afterThisTurn(Runnable task) {
    context.nettyEventLoop().execute(() -> context.dispatch(task));
  }

  @Override
  public Worker createWorker() {
    return new LoopWorker();
  }

  private record Timer(ScheduledFuture<?> future) implements Disposable {
    @Override
    public void dispose() {
      future.cancel(false);
    }

    @Override
    public boolean isDisposed() {
      return future.isDone();
    }
  }

  private final class LoopWorker implements Worker {
    private final Disposable.Composite tasks = Disposables.composite();

    @Override
    public Disposable schedule(Runnable task) {
      return added(EventLoopScheduler.this.schedule(task));
    }

    @Override
    public Disposable schedule(Runnable task, long delay, TimeUnit unit) {
      return added(EventLoopScheduler.this.schedule(task, delay, unit));
    }

    private Disposable added(Disposable task) {
      tasks.add(task);
      return task;
    }

    @Override
    public void dispose() {
      tasks.dispose();
    }

    @Override
    public boolean isDisposed() {
      return tasks.isDisposed();
    }
  }
}
