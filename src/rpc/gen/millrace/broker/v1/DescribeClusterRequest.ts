// Original file: proto/millrace/broker/v1/cluster.proto


export interface DescribeClusterRequest {
}

export interface DescribeClusterRequest__Output {
}
