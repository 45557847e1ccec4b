package dev.millrace.transfer.nixl;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BOOLEAN;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * NIXL's functions about agents, memory, metadata and notifications: one method per function,
 * nothing else. All answer a status; out parameters are written on success only. The class must not
 * be touched before the library is open.
 */
final class AgentFunctions {
  private static final MethodHandle IS_STUB = Downcall.of("is_stub", JAVA_BOOLEAN);
  private static final MethodHandle CREATE_CONFIGURED_AGENT =
      Downcall.of("create_configured_agent", JAVA_INT, ADDRESS, ADDRESS, ADDRESS);
  private static final MethodHandle DESTROY_AGENT = Downcall.of("destroy_agent", JAVA_INT, ADDRESS);
  private static final MethodHandle GET_AVAILABLE_PLUGINS =
      Downcall.of("get_available_plugins", JAVA_INT, ADDRESS, ADDRESS);
  private static final MethodHandle STRING_LIST_SIZE =
      Downcall.of("string_list_size", JAVA_INT, ADDRESS, ADDRESS);
  private static final MethodHandle STRING_LIST_GET =
      Downcall.of("string_list_get", JAVA_INT, ADDRESS, JAVA_LONG, ADDRESS);
  private static final MethodHandle DESTROY_STRING_LIST =
      Downcall.of("destroy_string_list", JAVA_INT, ADDRESS);
  private static final MethodHandle CREATE_PARAMS = Downcall.of("create_params", JAVA_INT, ADDRESS);
  private static final MethodHandle PARAMS_ADD =
      Downcall.of("params_add", JAVA_INT, ADDRESS, ADDRESS, ADDRESS);
  private static final MethodHandle DESTROY_PARAMS =
      Downcall.of("destroy_params", JAVA_INT, ADDRESS);
  private static final MethodHandle CREATE_BACKEND =
      Downcall.of("create_backend", JAVA_INT, ADDRESS, ADDRESS, ADDRESS, ADDRESS);
  private static final MethodHandle DESTROY_BACKEND =
      Downcall.of("destroy_backend", JAVA_INT, ADDRESS);
  private static final MethodHandle CREATE_OPT_ARGS =
      Downcall.of("create_opt_args", JAVA_INT, ADDRESS);
  private static final MethodHandle DESTROY_OPT_ARGS =
      Downcall.of("destroy_opt_args", JAVA_INT, ADDRESS);
  private static final MethodHandle OPT_ARGS_ADD_BACKEND =
      Downcall.of("opt_args_add_backend", JAVA_INT, ADDRESS, ADDRESS);
  private static final MethodHandle CREATE_REG_DLIST =
      Downcall.of("create_reg_dlist", JAVA_INT, JAVA_INT, ADDRESS);
  private static final MethodHandle REG_DLIST_ADD_DESC =
      Downcall.of(
          "reg_dlist_add_desc",
          JAVA_INT,
          ADDRESS,
          JAVA_LONG,
          JAVA_LONG,
          JAVA_LONG,
          ADDRESS,
          JAVA_LONG);
  private static final MethodHandle DESTROY_REG_DLIST =
      Downcall.of("destroy_reg_dlist", JAVA_INT, ADDRESS);
  private static final MethodHandle REGISTER_MEM =
      Downcall.of("register_mem", JAVA_INT, ADDRESS, ADDRESS, ADDRESS);
  private static final MethodHandle DEREGISTER_MEM =
      Downcall.of("deregister_mem", JAVA_INT, ADDRESS, ADDRESS, ADDRESS);
  private static final MethodHandle GET_LOCAL_MD =
      Downcall.of("get_local_md", JAVA_INT, ADDRESS, ADDRESS, ADDRESS);
  private static final MethodHandle GET_LOCAL_PARTIAL_MD =
      Downcall.of("get_local_partial_md", JAVA_INT, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS);
  private static final MethodHandle LOAD_REMOTE_MD =
      Downcall.of("load_remote_md", JAVA_INT, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS);
  private static final MethodHandle INVALIDATE_REMOTE_MD =
      Downcall.of("invalidate_remote_md", JAVA_INT, ADDRESS, ADDRESS);
  private static final MethodHandle GEN_NOTIF =
      Downcall.of("gen_notif", JAVA_INT, ADDRESS, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS);
  private static final MethodHandle CREATE_NOTIF_MAP =
      Downcall.of("create_notif_map", JAVA_INT, ADDRESS);
  private static final MethodHandle GET_NOTIFS =
      Downcall.of("get_notifs", JAVA_INT, ADDRESS, ADDRESS, ADDRESS);
  private static final MethodHandle NOTIF_MAP_SIZE =
      Downcall.of("notif_map_size", JAVA_INT, ADDRESS, ADDRESS);
  private static final MethodHandle NOTIF_MAP_GET_AGENT_AT =
      Downcall.of("notif_map_get_agent_at", JAVA_INT, ADDRESS, JAVA_LONG, ADDRESS);
  private static final MethodHandle NOTIF_MAP_GET_NOTIFS_SIZE =
      Downcall.of("notif_map_get_notifs_size", JAVA_INT, ADDRESS, ADDRESS, ADDRESS);
  private static final MethodHandle NOTIF_MAP_GET_NOTIF =
      Downcall.of("notif_map_get_notif", JAVA_INT, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS, ADDRESS);
  private static final MethodHandle NOTIF_MAP_CLEAR =
      Downcall.of("notif_map_clear", JAVA_INT, ADDRESS);
  private static final MethodHandle DESTROY_NOTIF_MAP =
      Downcall.of("destroy_notif_map", JAVA_INT, ADDRESS);

  private AgentFunctions() {}

  /** Whether the library is only a placeholder, which aborts the process when it is used. */
  static boolean isStub() {
    try {
      return (boolean) IS_STUB.invokeExact();
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  /** Starts an agent; its name is the peer key and must be unique. */
  static int createConfiguredAgent(
      MemorySegment name, MemorySegment config, MemorySegment outAgent) {
    try {
      return (int) CREATE_CONFIGURED_AGENT.invokeExact(name, config, outAgent);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  /**
   * Stops threads, deregisters what is left, frees the agent. Nothing of it may be used afterwards.
   */
  static int destroyAgent(MemorySegment agent) {
    try {
      return (int) DESTROY_AGENT.invokeExact(agent);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  /** Names of the plugin files found, loadable or not. */
  static int getAvailablePlugins(MemorySegment agent, MemorySegment outList) {
    try {
      return (int) GET_AVAILABLE_PLUGINS.invokeExact(agent, outList);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  static int stringListSize(MemorySegment list, MemorySegment outSize) {
    try {
      return (int) STRING_LIST_SIZE.invokeExact(list, outSize);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  /** The string belongs to the list. */
  static int stringListGet(MemorySegment list, long index, MemorySegment outString) {
    try {
      return (int) STRING_LIST_GET.invokeExact(list, index, outString);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  static int destroyStringList(MemorySegment list) {
    try {
      return (int) DESTROY_STRING_LIST.invokeExact(list);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  static int createParams(MemorySegment outParams) {
    try {
      return (int) CREATE_PARAMS.invokeExact(outParams);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  static int paramsAdd(MemorySegment params, MemorySegment key, MemorySegment value) {
    try {
      return (int) PARAMS_ADD.invokeExact(params, key, value);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  static int destroyParams(MemorySegment params) {
    try {
      return (int) DESTROY_PARAMS.invokeExact(params);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  /** Loads the plugin and its network; params must not be NULL. */
  static int createBackend(
      MemorySegment agent, MemorySegment type, MemorySegment params, MemorySegment outBackend) {
    try {
      return (int) CREATE_BACKEND.invokeExact(agent, type, params, outBackend);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  /** Frees the wrapper; the backend itself lives as long as its agent. */
  static int destroyBackend(MemorySegment backend) {
    try {
      return (int) DESTROY_BACKEND.invokeExact(backend);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  static int createOptArgs(MemorySegment outArgs) {
    try {
      return (int) CREATE_OPT_ARGS.invokeExact(outArgs);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  static int destroyOptArgs(MemorySegment args) {
    try {
      return (int) DESTROY_OPT_ARGS.invokeExact(args);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  static int optArgsAddBackend(MemorySegment args, MemorySegment backend) {
    try {
      return (int) OPT_ARGS_ADD_BACKEND.invokeExact(args, backend);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  static int createRegDlist(int memoryType, MemorySegment outList) {
    try {
      return (int) CREATE_REG_DLIST.invokeExact(memoryType, outList);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  static int regDlistAddDesc(
      MemorySegment list,
      long address,
      long bytes,
      long device,
      MemorySegment metadata,
      long metadataBytes) {
    try {
      return (int)
          REG_DLIST_ADD_DESC.invokeExact(list, address, bytes, device, metadata, metadataBytes);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  static int destroyRegDlist(MemorySegment list) {
    try {
      return (int) DESTROY_REG_DLIST.invokeExact(list);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  /** Does not check that the memory exists. */
  static int registerMem(MemorySegment agent, MemorySegment list, MemorySegment args) {
    try {
      return (int) REGISTER_MEM.invokeExact(agent, list, args);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  /** Must match a registration exactly; peers are not told and can go on reading. */
  static int deregisterMem(MemorySegment agent, MemorySegment list, MemorySegment args) {
    try {
      return (int) DEREGISTER_MEM.invokeExact(agent, list, args);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  /** The blob is ours to free. */
  static int getLocalMd(MemorySegment agent, MemorySegment outBlob, MemorySegment outBytes) {
    try {
      return (int) GET_LOCAL_MD.invokeExact(agent, outBlob, outBytes);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  /**
   * With an empty list: how to reach the agent, and none of its memory. The blob is ours to free.
   */
  static int getLocalPartialMd(
      MemorySegment agent,
      MemorySegment list,
      MemorySegment outBlob,
      MemorySegment outBytes,
      MemorySegment args) {
    try {
      return (int) GET_LOCAL_PARTIAL_MD.invokeExact(agent, list, outBlob, outBytes, args);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  /** Crashes on altered blobs. The name is ours to free. */
  static int loadRemoteMd(
      MemorySegment agent, MemorySegment blob, long bytes, MemorySegment outName) {
    try {
      return (int) LOAD_REMOTE_MD.invokeExact(agent, blob, bytes, outName);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  /** Disconnects. */
  static int invalidateRemoteMd(MemorySegment agent, MemorySegment name) {
    try {
      return (int) INVALIDATE_REMOTE_MD.invokeExact(agent, name);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  /** Sends a notification; success means that it has left, not that it has arrived. */
  static int genNotif(
      MemorySegment agent,
      MemorySegment name,
      MemorySegment payload,
      long bytes,
      MemorySegment args) {
    try {
      return (int) GEN_NOTIF.invokeExact(agent, name, payload, bytes, args);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  static int createNotifMap(MemorySegment outMap) {
    try {
      return (int) CREATE_NOTIF_MAP.invokeExact(outMap);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  /** Appends what has arrived. */
  static int getNotifs(MemorySegment agent, MemorySegment map, MemorySegment args) {
    try {
      return (int) GET_NOTIFS.invokeExact(agent, map, args);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  static int notifMapSize(MemorySegment map, MemorySegment outSize) {
    try {
      return (int) NOTIF_MAP_SIZE.invokeExact(map, outSize);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  /** An index past the end crashes. The name belongs to the map. */
  static int notifMapGetAgentAt(MemorySegment map, long index, MemorySegment outName) {
    try {
      return (int) NOTIF_MAP_GET_AGENT_AT.invokeExact(map, index, outName);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  static int notifMapGetNotifsSize(MemorySegment map, MemorySegment name, MemorySegment outSize) {
    try {
      return (int) NOTIF_MAP_GET_NOTIFS_SIZE.invokeExact(map, name, outSize);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  /** The payload belongs to the map. */
  static int notifMapGetNotif(
      MemorySegment map,
      MemorySegment name,
      long index,
      MemorySegment outPayload,
      MemorySegment outBytes) {
    try {
      return (int) NOTIF_MAP_GET_NOTIF.invokeExact(map, name, index, outPayload, outBytes);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  static int notifMapClear(MemorySegment map) {
    try {
      return (int) NOTIF_MAP_CLEAR.invokeExact(map);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }

  static int destroyNotifMap(MemorySegment map) {
    try {
      return (int) DESTROY_NOTIF_MAP.invokeExact(map);
    } catch (Throwable t) {
      throw LibC.unexpected(t);
    }
  }
}
