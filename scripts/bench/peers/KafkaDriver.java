import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.HdrHistogram.ConcurrentHistogram;
import org.HdrHistogram.Histogram;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * The client of a benchmark against Apache Kafka: the same jobs with Kafka's own client. Told the bootstrap
 * addresses and a job as JSON; says what it does in lines of JSON, and stays until its input ends, so that
 * what it used can be read from the kernel's books.
 */
public final class KafkaDriver {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final long MICROS_MAX = 60_000_000L;
  private static final int RECORDS_PER_LOOK = 1024;
  private static final int RANDOM_POOL_BYTES = 8 << 20;
  /** What batches of our client grow to under load; Kafka's own default of 16 KiB is a handicap there. */
  private static final int BATCH_BYTES = 1 << 20;
  /** What is offered and not read so long after the end counts with the time that it has taken so far. */
  private static final long DRAIN_NANOS_MAX = 10_000_000_000L;

  private final String bootstrap;
  private final JsonNode job;
  private final Histogram latencies = new ConcurrentHistogram(1, MICROS_MAX, 3);
  private final AtomicReference<Exception> failure = new AtomicReference<>();

  private KafkaDriver(String bootstrap, JsonNode job) {
    this.bootstrap = bootstrap;
    this.job = job;
  }

  public static void main(String[] args) throws Exception {
    Thread untilTold =
        new Thread(
            () -> {
              try {
                while (System.in.read() >= 0) {
                  // Nothing is said to it.
                }
              } catch (Exception closed) {
                // As good as the end.
              }
              Runtime.getRuntime().halt(0);
            });
    untilTold.start();
    try {
      ObjectNode result = new KafkaDriver(args[0], JSON.readTree(args[1])).run();
      tell(JSON.createObjectNode().put("kind", "result").set("result", result));
    } catch (Exception error) {
      tell(JSON.createObjectNode().put("kind", "failed").put("error", error.toString()));
    }
    untilTold.join();
  }

  private static void tell(JsonNode message) {
    System.out.println(message);
    System.out.flush();
  }

  private static void tellKind(String kind) {
    tell(JSON.createObjectNode().put("kind", kind));
  }

  private ObjectNode run() throws Exception {
    String kind = job.get("kind").asText();
    switch (kind) {
      case "create":
        return create();
      case "drop":
        return drop();
      case "produce":
        return timed(this::send);
      case "latency":
        return timed(this::sendOneByOne);
      case "endToEnd":
        return endToEnd();
      default:
        throw new IllegalArgumentException("unknown job " + kind);
    }
  }

  private String topic() {
    return job.get("topic").asText();
  }

  private int partitions() {
    return job.get("partitions").asInt();
  }

  private Admin admin() {
    return Admin.create(Map.<String, Object>of("bootstrap.servers", bootstrap));
  }

  private ObjectNode create() throws Exception {
    try (Admin admin = admin()) {
      NewTopic topic = new NewTopic(topic(), Optional.of(partitions()), Optional.of((short) 3));
      admin.createTopics(List.of(topic)).all().get();
    }
    return result(0, 0, 0);
  }

  private ObjectNode drop() throws Exception {
    try (Admin admin = admin()) {
      admin.deleteTopics(List.of(topic())).all().get();
    }
    return result(0, 0, 0);
  }

  private KafkaProducer<byte[], byte[]> producer() {
    Properties options = new Properties();
    options.put("bootstrap.servers", bootstrap);
    options.put("acks", "all");
    options.put("compression.type", job.path("compression").asText("none"));
    options.put("linger.ms", String.valueOf(job.path("lingerMs").asInt(0)));
    if (!job.get("kind").asText().equals("latency")) {
      options.put("batch.size", String.valueOf(BATCH_BYTES));
      // Twice what ours has, as a batch takes all of its room at once.
      options.put("buffer.memory", String.valueOf(64 << 20));
      // Batches of several partitions go in one request.
      options.put("max.request.size", String.valueOf(8 << 20));
    }
    options.put("key.serializer", ByteArraySerializer.class.getName());
    options.put("value.serializer", ByteArraySerializer.class.getName());
    return new KafkaProducer<>(options);
  }

  private void note(long nanos) {
    latencies.recordValue(Math.min(MICROS_MAX, Math.max(1, nanos / 1000)));
  }

  private void check() throws Exception {
    Exception failed = failure.get();
    if (failed != null) throw failed;
  }

  private long secondsOf(String name) {
    return (long) (job.get(name).asDouble() * 1e9);
  }

  /** Sends for so long, and says how many records were acknowledged. */
  private interface Sending {
    long during(KafkaProducer<byte[], byte[]> producer, Pieces values, long nanos) throws Exception;
  }

  private ObjectNode timed(Sending sending) throws Exception {
    Pieces values = new Pieces(job.get("values"));
    try (KafkaProducer<byte[], byte[]> producer = producer()) {
      sending.during(producer, values, secondsOf("warmupSeconds"));
      latencies.reset();
      tellKind("begins");
      long startedAt = System.nanoTime();
      long records = sending.during(producer, values, secondsOf("seconds"));
      double seconds = (System.nanoTime() - startedAt) / 1e9;
      tellKind("ends");
      return result(records, values.bytes, seconds);
    }
  }

  private long send(KafkaProducer<byte[], byte[]> producer, Pieces values, long nanos)
      throws Exception {
    String topic = topic();
    long endAt = System.nanoTime() + nanos;
    AtomicLong acknowledged = new AtomicLong();
    long sent = 0;
    while (sent % RECORDS_PER_LOOK != 0 || System.nanoTime() < endAt) {
      long sentAt = System.nanoTime();
      producer.send(
          new ProducerRecord<>(topic, values.next()),
          (metadata, error) -> {
            if (error != null) failure.compareAndSet(null, error);
            acknowledged.incrementAndGet();
            note(System.nanoTime() - sentAt);
          });
      sent += 1;
    }
    producer.flush();
    check();
    if (acknowledged.get() != sent) throw new IllegalStateException("not all were acknowledged");
    return sent;
  }

  private long sendOneByOne(KafkaProducer<byte[], byte[]> producer, Pieces values, long nanos)
      throws Exception {
    long endAt = System.nanoTime() + nanos;
    long sent = 0;
    for (long dueAt = System.nanoTime(); dueAt < endAt; dueAt = System.nanoTime()) {
      int partition = (int) (sent % partitions());
      producer.send(new ProducerRecord<>(topic(), partition, null, values.next())).get();
      note(System.nanoTime() - dueAt);
      sent += 1;
    }
    return sent;
  }

  private KafkaConsumer<byte[], byte[]> consumer() {
    Properties options = new Properties();
    options.put("bootstrap.servers", bootstrap);
    options.put("enable.auto.commit", "false");
    options.put("key.deserializer", ByteArrayDeserializer.class.getName());
    options.put("value.deserializer", ByteArrayDeserializer.class.getName());
    return new KafkaConsumer<>(options);
  }

  private ObjectNode endToEnd() throws Exception {
    double everyNanos = 1e9 / job.get("recordsPerSecond").asDouble();
    int warmup = (int) (secondsOf("warmupSeconds") / everyNanos);
    int count = warmup + (int) (secondsOf("seconds") / everyNanos);
    int bytes = job.get("recordBytes").asInt();
    try (KafkaProducer<byte[], byte[]> producer = producer();
        KafkaConsumer<byte[], byte[]> consumer = consumer()) {
      List<TopicPartition> all = new ArrayList<>();
      for (int i = 0; i < partitions(); i += 1) all.add(new TopicPartition(topic(), i));
      consumer.assign(all);
      consumer.seekToBeginning(all);
      for (TopicPartition one : all) consumer.position(one);
      producer.partitionsFor(topic());

      long startedAt = System.nanoTime();
      long giveUpAt = startedAt + (long) (count * everyNanos) + DRAIN_NANOS_MAX;
      boolean[] read = new boolean[count];
      Thread reader =
          new Thread(
              () -> {
                try {
                  readAll(consumer, read, startedAt, everyNanos, warmup, giveUpAt);
                } catch (RuntimeException error) {
                  // What it has not read would count as slow.
                  failure.compareAndSet(null, error);
                }
              });
      reader.start();
      byte[] random = new byte[bytes];
      new Random(1).nextBytes(random);
      for (int i = 0; i < count && System.nanoTime() < giveUpAt; i += 1) {
        long dueAt = startedAt + (long) (i * everyNanos);
        if (i == warmup) tellKind("begins");
        for (long now = System.nanoTime(); now < dueAt; now = System.nanoTime()) {
          LockSupport.parkNanos(Math.max(1_000_000, dueAt - now));
        }
        byte[] value = random.clone();
        ByteBuffer.wrap(value).putInt(i);
        producer.send(
            new ProducerRecord<>(topic(), value),
            (metadata, error) -> {
              if (error != null) failure.compareAndSet(null, error);
            });
      }
      producer.flush();
      reader.join();
      long endedAt = System.nanoTime();
      tellKind("ends");
      check();
      long records = 0;
      for (int i = warmup; i < count; i += 1) {
        if (read[i]) records += 1;
        else note(endedAt - startedAt - (long) (i * everyNanos));
      }
      double seconds = (endedAt - startedAt - warmup * everyNanos) / 1e9;
      return result(records, bytes, seconds);
    }
  }

  private void readAll(
      KafkaConsumer<byte[], byte[]> consumer,
      boolean[] read,
      long startedAt,
      double everyNanos,
      int warmup,
      long giveUpAt) {
    int left = read.length;
    while (left > 0 && System.nanoTime() < giveUpAt && failure.get() == null) {
      for (ConsumerRecord<byte[], byte[]> one : consumer.poll(Duration.ofMillis(100))) {
        long now = System.nanoTime();
        int index = ByteBuffer.wrap(one.value()).getInt();
        if (read[index]) {
          failure.compareAndSet(null, new IllegalStateException("a record came twice"));
          return;
        }
        read[index] = true;
        left -= 1;
        if (index >= warmup) note(now - startedAt - (long) (index * everyNanos));
      }
    }
  }

  private ObjectNode result(long records, int bytes, double seconds) {
    ByteBuffer encoded = ByteBuffer.allocate(latencies.getNeededByteBufferCapacity());
    int length = latencies.encodeIntoCompressedByteBuffer(encoded);
    ByteArrayOutputStream histogram = new ByteArrayOutputStream();
    histogram.write(encoded.array(), 0, length);
    ObjectNode quantiles =
        JSON.createObjectNode()
            .put("p50", latencies.getValueAtPercentile(50) / 1e3)
            .put("p90", latencies.getValueAtPercentile(90) / 1e3)
            .put("p99", latencies.getValueAtPercentile(99) / 1e3)
            .put("p999", latencies.getValueAtPercentile(99.9) / 1e3)
            .put("max", latencies.getValueAtPercentile(100) / 1e3);
    ObjectNode result =
        JSON.createObjectNode()
            .put("records", records)
            .put("bytes", records * bytes)
            .put("seconds", seconds)
            .put("histogram", Base64.getEncoder().encodeToString(histogram.toByteArray()));
    result.set("latencyMs", quantiles);
    return result;
  }

  /** One piece of the pool after the other, each cut anew; each pass is shifted by a byte. */
  private static final class Pieces {
    final int bytes;
    private final byte[] pool;
    private int at = 0;
    private int passes = 0;

    Pieces(JsonNode spec) throws Exception {
      bytes = spec.get("bytes").asInt();
      ByteArrayOutputStream all = new ByteArrayOutputStream();
      for (JsonNode file : spec.path("files")) {
        all.write(Files.readAllBytes(Path.of(file.asText())));
      }
      byte[] random = new byte[RANDOM_POOL_BYTES];
      new Random().nextBytes(random);
      pool = all.size() == 0 ? random : all.toByteArray();
    }

    byte[] next() {
      byte[] value = new byte[bytes];
      System.arraycopy(pool, at, value, 0, bytes);
      at += bytes;
      if (at + bytes > pool.length) {
        passes += 1;
        at = passes % bytes;
      }
      return value;
    }
  }
}
