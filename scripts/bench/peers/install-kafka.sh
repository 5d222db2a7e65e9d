#!/usr/bin/env bash
# Gets Apache Kafka for `npm run bench -- --peers kafka` into a cache folder (BENCH_CACHE, or
# ~/.cache/millrace-bench): the server's and the client's jars, as Maven is set up to find them, and the
# benchmark's client compiled against them. Takes a JDK and Maven (Debian: openjdk-17-jdk-headless, maven).
# KAFKA_VERSION says which.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
cache="${BENCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/millrace-bench}/kafka"
version="${KAFKA_VERSION:-4.3.1}"
for tool in java javac mvn; do
  command -v "$tool" >/dev/null || { echo "$tool is missing: apt-get install openjdk-17-jdk-headless maven" >&2; exit 1; }
done
rm -rf "$cache"
mkdir -p "$cache/libs" "$cache/classes"
cat >"$cache/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>millrace.bench</groupId>
  <artifactId>kafka-peer</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>$version</version>
    </dependency>
  </dependencies>
</project>
POM
mvn -q -B -f "$cache/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
  -DincludeScope=runtime -DoutputDirectory="$cache/libs"
javac -cp "$cache/libs/*" -d "$cache/classes" "$here/KafkaDriver.java"
echo "$version" >"$cache/version"
echo "Kafka $version is in $cache"
