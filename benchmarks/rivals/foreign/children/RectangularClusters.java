import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.beans.PropertyChangeSupport;
import java.util.Observable;
import java.util.Observer;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.prefs.Preferences;
import net.sf.jaer.chip.AEChip;
import net.sf.jaer.event.EventPacket;
import net.sf.jaer.event.OutputEventIterator;
import net.sf.jaer.event.PolarityEvent;
import net.sf.jaer.eventprocessing.FilterChain;
import net.sf.jaer.eventprocessing.tracking.RectangularClusterTracker;
import sun.reflect.ReflectionFactory;

/** Feeds a file of events to jAER's RectangularClusterTracker without a window, and prints its visible clusters. */
public final class RectangularClusters {
    /** A sensor without a canvas: AEChip's constructor opens an OpenGL canvas, so it is not called (see chip). */
    public static final class Headless extends AEChip {
        private FilterChain chain;
        private PropertyChangeSupport changes;
        private Preferences preferences;

        @Override public synchronized void addObserver(Observer observer) { }
        @Override public PropertyChangeSupport getSupport() { return changes; }
        @Override public Preferences getPrefs() { return preferences; }
        @Override public FilterChain getFilterChain() { return chain; }
    }

    private static Headless chip(int width, int height, float updateMs) throws Exception {
        var maker = ReflectionFactory.getReflectionFactory()
            .newConstructorForSerialization(Headless.class, Observable.class.getDeclaredConstructor());
        Headless chip = (Headless) maker.newInstance();
        chip.changes = new PropertyChangeSupport(chip);
        chip.preferences = Preferences.userRoot().node("rival");
        chip.setSizeX(width);
        chip.setSizeY(height);
        chip.chain = new FilterChain(chip);
        chip.chain.setUpdateIntervalMs(updateMs);
        return chip;
    }

    private static void set(Object filter, String name, String value) throws Exception {
        String setter = "set" + Character.toUpperCase(name.charAt(0)) + name.substring(1);
        for (var method : filter.getClass().getMethods()) {
            if (!method.getName().equals(setter) || method.getParameterCount() != 1) continue;
            Class<?> kind = method.getParameterTypes()[0];
            Object given = kind == float.class ? (Object) Float.valueOf(value)
                : kind == int.class ? (Object) Integer.valueOf(value)
                : kind == boolean.class ? (Object) Boolean.valueOf(value) : null;
            if (given == null) continue;
            method.invoke(filter, given);
            return;
        }
        throw new IllegalArgumentException("the tracker has no property " + name);
    }

    /** EVENTS WIDTH HEIGHT FIRST_US EVERY_US UPDATE_MS [PROPERTY=VALUE ...]; times are relative to the file's zero. */
    public static void main(String[] args) throws Exception {
        Logger.getLogger("").setLevel(Level.OFF);
        Logger.getLogger("net.sf.jaer").setLevel(Level.OFF);
        PrintStream out = new PrintStream(new java.io.BufferedOutputStream(new java.io.FileOutputStream(java.io.FileDescriptor.out)));
        System.setOut(System.err);
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(Path.of(args[0]))).order(ByteOrder.LITTLE_ENDIAN);
        int count = bytes.remaining() / 9;
        int next = Integer.parseInt(args[3]), every = Integer.parseInt(args[4]), last = Integer.parseInt(args[5]);
        Headless chip = chip(Integer.parseInt(args[1]), Integer.parseInt(args[2]), Float.parseFloat(args[6]));
        RectangularClusterTracker tracker = new RectangularClusterTracker(chip);
        for (int k = 7; k < args.length; k++) {
            String[] pair = args[k].split("=", 2);
            set(tracker, pair[0], pair[1]);
        }
        tracker.setFilterEnabled(true);
        tracker.resetFilter();
        var machine = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        long begun = machine.getProcessCpuTime();
        EventPacket<PolarityEvent> packet = new EventPacket<>(PolarityEvent.class);
        OutputEventIterator<PolarityEvent> writer = packet.outputIterator();
        int k = 0;
        for (; next <= last; next += every) {
            writer = packet.outputIterator();
            for (; k < count && bytes.getInt(9 * k) <= next; k++) {
                PolarityEvent event = writer.nextOutput();
                event.timestamp = bytes.getInt(9 * k);
                event.x = bytes.getShort(9 * k + 4);
                event.y = bytes.getShort(9 * k + 6);
                event.type = bytes.get(9 * k + 8);
                event.polarity = event.type == 1 ? PolarityEvent.Polarity.On : PolarityEvent.Polarity.Off;
            }
            if (packet.getSize() > 0) tracker.filterPacket(packet);
            for (var cluster : tracker.getVisibleClusters()) {
                out.printf(java.util.Locale.ROOT, "%d,%d,%.3f,%.3f,%.3f,%.3f%n", next, cluster.getClusterNumber(),
                    cluster.getLocation().x, cluster.getLocation().y, cluster.getVelocity().x, cluster.getVelocity().y);
            }
        }
        out.flush();
        System.err.printf(java.util.Locale.ROOT, "cpu_s=%.6f%n", (machine.getProcessCpuTime() - begun) / 1e9);
        Path status = Path.of("/proc/self/status");
        for (String line : Files.exists(status) ? Files.readAllLines(status) : java.util.List.<String>of()) {
            if (!line.startsWith("VmHWM:")) continue;
            System.err.printf(java.util.Locale.ROOT, "peak_mb=%.1f%n", Long.parseLong(line.replaceAll("\\D", "")) / 1024.0);
        }
        System.exit(0);
    }
}
