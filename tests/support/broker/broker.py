"""A Kafka cluster on the loopback, as long as the caller lives.

usage: broker.py with NODES [KEY=VALUE]... COMMAND [ARG]...   runs COMMAND, which finds the addresses in $KAFKA_BROKERS;
           its exit status
       broker.py serve NODES FIFO [KEY=VALUE]...   writes the addresses to FIFO, then obeys lines on standard input,
           "kill N…", "stop N…", "start N…" (N from 1), and answers each in FIFO by "ok" or by what went wrong
       broker.py fetch   only fetches the jars

Nodes are brokers and controllers in one (KRaft); KEY=VALUE are lines for their server.properties. The jars that
pom.xml names come through Maven, as it is configured for the user, into its cache; their paths, and an archive of
their classes that halves the time of a start, are in build/kafka. The data are there, too, as long as the cluster
lives, and longer where it failed. Each cluster has an address of its own in 127/8, after the number of this process,
and there ports that are free: clusters side by side do not meet. However this process ends, the nodes end with it,
and it ends with its caller: at the end of its input, at a signal, or because the kernel says so (prctl).
"""
import ctypes
import fcntl
import hashlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(HERE))), "build", "kafka")
with open(os.path.join(HERE, "pom.xml"), "rb") as pom:
    VERSION = hashlib.sha256(pom.read()).hexdigest()[:12]
CLASSPATH, ARCHIVE = (os.path.join(BUILD, name + VERSION) for name in ("jars-", "classes-"))
CLUSTER_ID = "d2Vpci10ZXN0cy1rYWZrYQ"  # any 16 bytes
GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.6.0:build-classpath"
STARTED = "Kafka Server started"
PATIENCE_S = 60
libc = ctypes.CDLL(None)


class Failure(Exception):
    pass


def end_with_parent(sig):
    PR_SET_PDEATHSIG = 1
    libc.prctl(PR_SET_PDEATHSIG, sig)


def need(program, package):
    if not shutil.which(program):
        raise Failure("there is no %s, which tests with a Kafka broker need: apt-get install %s" % (program, package))


def classpath():
    """The jars, joined by ":"; fetched by the first of several callers."""
    need("java", "openjdk-17-jre-headless")
    os.makedirs(BUILD, exist_ok=True)
    with open(os.path.join(BUILD, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(CLASSPATH):
            with open(CLASSPATH) as file:
                jars = file.read()
            if all(map(os.path.exists, jars.split(":"))):
                return jars
        need("mvn", "maven")
        print("+ mvn %s (the broker's jars, once)" % GOAL, file=sys.stderr)
        maven = subprocess.run(["mvn", "-q", "-B", "-Dstyle.color=never", "-f", HERE + "/pom.xml", GOAL,
                                "-DincludeScope=runtime", "-Dmdep.outputFile=" + CLASSPATH], text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if maven.returncode:
            raise Failure("Maven cannot fetch the broker's jars; does it know, by ~/.m2/settings.xml, a repository that "
                          "this machine reaches and trusts?\n" + maven.stdout[:2000])
        with open(CLASSPATH) as file:
            return file.read()


def remove_remains():
    """Data of clusters whose process is gone."""
    for name in os.listdir(BUILD):
        if name.isdigit() and not os.path.exists("/proc/" + name):
            shutil.rmtree(os.path.join(BUILD, name), ignore_errors=True)


def own_address():
    pid = os.getpid()
    return "127.%d.%d.%d" % (1 + (pid >> 16), pid >> 8 & 255, pid & 255)


def free_ports(address, count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind((address, 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Node:
    """One broker: its files, its process while it runs, and a thread that copies what it says to its log."""

    def __init__(self, cluster, number):
        self.cluster, self.number = cluster, number
        self.data, self.log = (os.path.join(cluster.folder, "%s-%d" % (what, number)) for what in ("data", "log"))
        self.properties = os.path.join(cluster.folder, "server-%d.properties" % number)
        self.process = self.started = self.archiving = None

    def configure(self):
        c, i = self.cluster, self.number
        replicas = min(c.count, 3)
        lines = {
            "process.roles": "broker,controller",
            "node.id": i,
            "controller.quorum.voters": ",".join("%d@%s" % (n, c.controller(n)) for n in range(1, c.count + 1)),
            "listeners": "PLAINTEXT://%s,CONTROLLER://%s" % (c.broker(i), c.controller(i)),
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": self.data,
            "auto.create.topics.enable": "false",
            "min.insync.replicas": 1 if replicas < 3 else 2,
            "offsets.topic.replication.factor": replicas,
            "offsets.topic.num.partitions": c.count,
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": 1 if replicas < 3 else 2,
            "transaction.state.log.num.partitions": c.count,
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": 500,
            "group.initial.rebalance.delay.ms": 0,
            # A test's records may be of 1970, and stay; where a topic says otherwise, that is soon obeyed.
            "log.retention.ms": -1,
            "log.retention.check.interval.ms": 500,
            "log.initial.task.delay.ms": 500,
            # Small.
            "num.network.threads": 2,
            "num.io.threads": 2,
            "background.threads": 2,
            "log.cleaner.dedupe.buffer.size": 4 << 20,
            "log.cleaner.backoff.ms": 200,
            "log.index.size.max.bytes": 1 << 20,
        }
        if c.quick:
            lines.update({
                "broker.heartbeat.interval.ms": 500,
                "broker.session.timeout.ms": 3000,
                "controller.quorum.election.timeout.ms": 500,
                "controller.quorum.fetch.timeout.ms": 1000,
            })
        lines.update(line.split("=", 1) for line in c.properties)
        with open(self.properties, "w") as file:
            file.writelines("%s=%s\n" % line for line in lines.items())
        os.mkdir(self.data)
        with open(os.path.join(self.data, "meta.properties"), "w") as file:  # what `kafka-storage format` writes
            file.write("version=1\ncluster.id=%s\nnode.id=%d\n" % (CLUSTER_ID, i))

    def launch(self):
        if self.process:
            raise Failure("node %d runs" % self.number)
        java = ["java", "-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:MaxDirectMemorySize=128m",
                "-XX:CICompilerCount=2", "-Xss512k", "-Djava.awt.headless=true",
                "-Dlog4j.configuration=file:%s/log4j.properties" % HERE]
        if os.path.exists(ARCHIVE):
            java += ["-XX:SharedArchiveFile=" + ARCHIVE, "-Xshare:auto", "-Xlog:cds=off", "-Xlog:class+path=off"]
        elif self.number == 1:
            self.archiving = os.path.join(self.cluster.folder, "classes")
            java += ["-XX:ArchiveClassesAtExit=" + self.archiving, "-Xlog:cds=off", "-Xlog:cds+dynamic=off"]
        self.started = threading.Event()
        self.process = subprocess.Popen(
            java + ["-cp", self.cluster.jars, "kafka.Kafka", self.properties], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
            preexec_fn=lambda: end_with_parent(signal.SIGKILL))
        threading.Thread(target=self.listen, args=(self.process, self.started), daemon=True).start()

    def listen(self, process, started):
        with open(self.log, "a") as log:
            for line in process.stdout:
                log.write(line)
                log.flush()
                if STARTED in line:
                    started.set()
        started.set()

    def await_start(self):
        self.started.wait(PATIENCE_S)
        with open(self.log) as log:
            text = log.read()
        if self.process.poll() is not None or STARTED not in text:
            raise Failure("node %d does not start:\n%s" % (self.number, text[-2000:]))

    def end(self, sig):
        if not self.process:
            raise Failure("node %d does not run" % self.number)
        self.process.send_signal(sig)
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
        if sig == signal.SIGTERM and self.archiving and os.path.exists(self.archiving):
            os.replace(self.archiving, ARCHIVE)
        self.archiving = None


class Cluster:
    """Nodes; `quick` to notice that one of them is gone, and to forget one that comes again."""

    def __init__(self, count, properties, quick):
        self.jars = classpath()
        remove_remains()
        self.folder = os.path.join(BUILD, str(os.getpid()))
        shutil.rmtree(self.folder, ignore_errors=True)
        os.mkdir(self.folder)
        self.count, self.properties, self.quick = count, properties, quick
        self.address = own_address()
        self.ports = free_ports(self.address, 2 * count)
        self.nodes = [Node(self, i) for i in range(1, count + 1)]
        for node in self.nodes:
            node.configure()
        self.start(self.nodes)

    def broker(self, i):
        return "%s:%d" % (self.address, self.ports[2 * i - 2])

    def controller(self, i):
        return "%s:%d" % (self.address, self.ports[2 * i - 1])

    def brokers(self):
        return ",".join(self.broker(i) for i in range(1, self.count + 1))

    def start(self, nodes):
        for node in nodes:
            node.launch()
        for node in nodes:
            node.await_start()

    def obey(self, line):
        verb, *numbers = line.split()
        nodes = [self.nodes[int(i) - 1] for i in numbers]
        if verb == "start":
            return self.start(nodes)
        for node in nodes:
            node.end({"kill": signal.SIGKILL, "stop": signal.SIGTERM}[verb])

    def close(self, keep):
        for node in self.nodes:
            if node.process:
                node.end(signal.SIGTERM if node.archiving and not keep else signal.SIGKILL)
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)


def serve(cluster, answers):
    print(cluster.brokers(), file=answers, flush=True)
    for line in sys.stdin:
        try:
            cluster.obey(line)
            print("ok", file=answers, flush=True)
        except Failure as failure:
            print(str(failure).replace("\n", " | "), file=answers, flush=True)
    return 0


def run(cluster, command):
    environment = dict(os.environ, KAFKA_BROKERS=cluster.brokers())
    child = subprocess.Popen(command, env=environment, close_fds=False, preexec_fn=lambda: end_with_parent(signal.SIGTERM))
    try:
        return child.wait()
    finally:
        if child.poll() is None:
            child.terminate()


def interrupted(sig, frame):
    sys.exit(128 + sig)


def main(words):
    if words == ["fetch"]:
        classpath()
        return 0
    if len(words) < 3 or words[0] not in ("with", "serve") or not words[1].isdigit() or int(words[1]) < 1:
        sys.exit(__doc__)
    end_with_parent(signal.SIGTERM)
    for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(sig, interrupted)
    verb, count, first, *rest = words
    cluster, status = None, 1
    try:
        if verb == "serve":
            with open(first, "w") as answers:  # who waits for them learns that there are none
                cluster = Cluster(int(count), rest, quick=True)
                status = serve(cluster, answers)
        else:
            need("kcat", "kcat")
            command = [first] + rest
            properties = list(itertools.takewhile(lambda word: "=" in word, command))
            cluster = Cluster(int(count), properties, quick=False)
            status = run(cluster, command[len(properties):])
        return status
    finally:
        if cluster:
            cluster.close(keep=status != 0)


try:
    sys.exit(main(sys.argv[1:]))
except Failure as failure:
    sys.exit("broker: %s" % failure)
